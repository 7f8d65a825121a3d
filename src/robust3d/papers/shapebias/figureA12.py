"""Figure A12: how many concepts a unit responds to, the mean over each layer."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.detected import detected_cell
from robust3d.papers.shapebias.layers import draw_layers
from robust3d.papers.shapebias.reported import FIGUREA12
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

ALL = "all layers"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from."""
    return compared.sources(plan, section, section.dissection, section.pairs(*section.dissected))


def write(job: "Context") -> None:
    """A panel for each pair of models."""
    models, cells = compared.read_metrics(job), []
    for model in models:
        baseline = model.peers(models)[0]
        for layer in (ALL, *model.layers()):
            cell = detected_cell(job, model, baseline, _diversity, layer)
            cell |= {
                "formula": f"mean over seeds and units of {layer} of concepts with an IoU of 0.01 or more, three digits"
            }
            cell |= {"unit": "", "panel": model.group, "layer": layer, "concepts": model.metrics[0]["concepts"]}
            cell["sources"] = model.metrics_source("layers", *([] if layer == ALL else [layer, "diversity"]))
            number = FIGUREA12.get(model.printed or "") if layer == ALL else None
            cell["printed"] = compared.printed_beside(job, model, str(model.printed), number)
            cells.append({"row": model.label, "column": layer, **cell})
    caption = "Concepts that a unit responds to (IoU of 0.01 or more), the mean over the units of each layer."
    write_table(job, text_table(cells, "network"), caption, cells)
    drawn = [cell for cell in cells if cell["layer"] != ALL]
    groups = {model.group: (model.group or "all", "concepts of a unit") for model in models}
    draw_layers(job, groups, drawn, len(models[0].metrics))


def _diversity(metrics: dict[str, Any], layer: str) -> float:
    names = metrics["layers"] if layer == ALL else [layer]
    return float(np.mean([value for name in names for value in metrics["layers"][name]["diversity"]]))
