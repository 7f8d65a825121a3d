"""Figure A3: how many units of each layer detect objects, and colours."""

from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.detected import detected_cell
from robust3d.papers.shapebias.layers import draw_layers
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

KINDS = ("object", "color")


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from."""
    return compared.sources(plan, section, section.dissection, section.pairs(section.shown))


def write(job: "Context") -> None:
    """A panel for each category."""
    models, cells = compared.read_metrics(job), []
    for model in models:
        for kind in KINDS:
            for layer in model.layers():
                cell = detected_cell(job, model, models[0], _count, layer, kind)
                cell |= {"formula": f"mean over seeds of the number of {kind} detectors in {layer}, three digits"}
                cell |= {"unit": "", "panel": kind, "layer": layer, "sources": model.metrics_source("layers", layer)}
                cells.append({"row": model.label, "column": f"{kind} {layer}", **cell})
    caption = "Units of each layer that detect objects, and that detect colours (IoU above 0.04)."
    write_table(job, text_table(cells, "network"), caption, cells)
    draw_layers(job, {kind: (f"{kind} detectors", "units") for kind in KINDS}, cells, len(models[0].metrics))


def _count(metrics: dict[str, Any], layer: str, kind: str) -> float:
    return float(metrics["layers"][layer]["detectors"]["by_category"].get(kind, 0))
