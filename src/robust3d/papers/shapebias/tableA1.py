"""Table A1: accuracy on ImageNet-C's corruptions, of images that the compared models get right uncorrupted."""

from typing import TYPE_CHECKING, Any

from robust3d.distortions.parameters import COMMON, EXTRA
from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.reported import TABLEA1, TABLEA1_COLUMNS
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

LABELS: dict[str, str] = {
    **{name: name.replace("_", " ").capitalize() for name in (*COMMON, *EXTRA)},
    "jpeg_compression": "JPEG",
    "elastic_transform": "Elastic",
    "mean": "Mean",
}
TWINS = ("gaussian_blur", "spatter")
COPIED = (
    "the paper prints the same numbers for Gaussian blur and Spatter in all eight columns: a mistake of copying, so at "
    "least one of the two printed rows is not what its name says"
)


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return compared.sources(plan, section, section.corruptions)


def write(job: "Context") -> None:
    """One row a corruption, the mean over severities; the last row is the mean over the fifteen common ones."""
    cells = []
    for model, peers, kept in compared.beside_peers(compared.read(job)):
        there = list(model.metrics[0]["errors"])
        rows: dict[str, list[str]] = {name: [name] for name in (*COMMON, *EXTRA) if name in there}
        if set(COMMON) <= set(there):
            rows["mean"] = list(COMMON)
        for row, names in rows.items():
            cell = compared.share_cell(job, model, peers, kept, names)
            cell["severities"] = sorted(model.metrics[0]["errors_by_severity"][names[0]])
            cell["parameters"] = model.metrics[0]["parameters"]
            known = model.printed in TABLEA1_COLUMNS
            value = TABLEA1[row][TABLEA1_COLUMNS.index(model.printed)] if known else None
            cell["printed"] = compared.printed_beside(job, model, row, value)
            cell["flags"] += _oddities(model.printed, row)
            cells.append({"row": LABELS[row], "column": model.label, **cell})
    caption = (
        "Accuracy (%) on corrupted images, mean over severities, of those that all compared models, of every seed, get "
        "right as they are. The mean is over the fifteen corruptions above speckle noise."
    )
    write_table(job, text_table(cells, "corruption"), caption, cells)


def _oddities(network: str | None, row: str) -> list[str]:
    """Sentences on what is odd about the printed number."""
    if network not in TABLEA1_COLUMNS:
        return []
    if row == "mean":
        column = TABLEA1_COLUMNS.index(network)
        mean = sum(TABLEA1[name][column] for name in COMMON) / len(COMMON)
        return [f"the printed mean is not that of the printed rows: {mean:.2f} over the fifteen common ones"]
    return [COPIED] if row in TWINS else []
