"""Table 4: mean total variation of the kernels of the convolutions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.reported import TABLE4
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

COLUMNS = {  # and their keys in the probe's metrics
    "Mean TV": ("mean_of_layers", "the mean over convolutions of the mean over kernels of a kernel's total variation"),
    "Over kernels": ("mean_of_kernels", "the mean over the kernels of all convolutions of a kernel's total variation"),
    "Relative": ("relative", "the mean over convolutions of total variation / sum of the weights' magnitudes"),
}


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return compared.sources(plan, section, section.smoothness)


def write(job: "Context") -> None:
    """One row a model."""
    models = compared.read_metrics(job)
    cells = [cell(job, model, models, column) for model in models for column in COLUMNS]
    caption = (
        "Mean total variation of kernels (sum of absolute differences of neighbours, summed over input channels). "
        "Relative does not change with the scale of the weights, which a batch norm undoes."
    )
    write_table(job, text_table(cells, "network"), caption, cells)


def cell(job: "Context", model: compared.Probed, models: Sequence[compared.Probed], column: str) -> dict[str, Any]:
    """The cell of a model, one of `models`, in one of `COLUMNS`."""
    key, words = COLUMNS[column]
    facts = compared.seeds_cell(job, model, model.peers(models)[0], _kernels, key)
    facts |= {"formula": f"mean over seeds of {words}, three digits", "unit": ""}
    facts["sources"] = model.metrics_source("kernels", key)
    number = TABLE4.get(model.printed or "") if column == "Mean TV" else None
    facts["printed"] = compared.printed_beside(job, model, str(model.printed), number)
    return {"row": model.label, "column": column, **facts}


def _kernels(metrics: dict[str, Any], key: str) -> float | None:
    found: float | None = metrics["kernels"][key]
    return found
