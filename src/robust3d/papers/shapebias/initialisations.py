"""Beyond the paper: the same probes on the columns of the main paper's Table 4, one for each start of the training."""

from typing import TYPE_CHECKING, Any

from robust3d.distortions.parameters import COMMON
from robust3d.errors import UserError
from robust3d.papers.shapebias import compared, table3, table4
from robust3d.papers.shapebias.section import Model
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

PROBES = ("distortions", "corruptions", "smoothness")
CORRUPTED, RELATIVE = "Corrupted", "Relative TV"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from: three probes of the adversarially trained classifiers of an experiment."""
    asked = section.initialisations
    if asked is None:
        raise UserError("papers.shapebias.initialisations: missing; name an experiment and three probes")
    models = [
        Model(label=f"{label} {norm}", classifier=key, pretraining=start, group=norm)
        for key in plan.study.experiments[asked.experiment].classifiers
        if (norm := plan.study.classifiers[key].trained_against)
        for label, start in plan.columns(asked.experiment)
    ]
    params: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for probe in PROBES:
        found, files, _ = compared.sources(plan, section, getattr(asked, probe), models, asked.experiment)
        params |= {**found, probe: found["models"]}
        inputs |= files
    return params, inputs, {}


def write(job: "Context") -> None:
    """One row a start and norm, compared with the training from scratch against the same norm."""
    cells = []
    for model, peers, kept in compared.beside_peers(compared.read(job, "distortions")):
        cells += table3.row(job, model, peers, kept)
    for model, peers, kept in compared.beside_peers(compared.read(job, "corruptions")):
        common = [name for name in COMMON if name in model.metrics[0]["errors"]]
        if common:
            cell = compared.share_cell(job, model, peers, kept, common)
            cells.append({"row": model.label, "column": CORRUPTED, **cell, "corruptions": common})
    models = compared.read_metrics(job, "smoothness")
    cells += [{**table4.cell(job, model, models, "Relative"), "column": RELATIVE} for model in models]
    caption = (
        "Accuracy (%) on distorted and corrupted images after adversarial training from each start, of those that all "
        "classifiers trained against the same norm, of every seed, get right as they are; and the total variation of "
        "their kernels / sum of the weights' magnitudes."
    )
    write_table(job, text_table(cells, "start and norm"), caption, cells)
