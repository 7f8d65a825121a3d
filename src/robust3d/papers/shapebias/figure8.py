"""Figure 8: how many decisions for shape and for texture are lost without a unit, by what the unit detects."""

from functools import partial
from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.detected import chance_flags, means_by_chance, void_flags
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import bars_note
from robust3d.tables.units import ALL, scores_by_category

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

KINDS = (ALL, "object", "color", "texture")
CUES = ("shape", "texture")


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from: both probes of the same networks."""
    models = section.pairs(section.shown)
    params, inputs, _ = compared.sources(plan, section, section.ablation, models)
    dissected, others, _ = compared.sources(plan, section, section.dissection, models)
    return {**params, "dissected": dissected["models"]}, {**inputs, **others}, {}


def write(job: "Context") -> None:
    """A panel for each model: shape and texture scores of all units and of the detectors of each category."""
    models, cells = compared.read_metrics(job), []
    dissected = compared.read_metrics(job, "dissected")
    for model, other in zip(models, dissected, strict=True):
        for metrics, labels in zip(model.metrics, other.metrics, strict=True):
            metrics["scores"] = scores_by_category(metrics, labels)
            metrics["void"] = labels["void"]
    there = {kind for model in models for metrics in model.metrics for kind in metrics["scores"]}
    for model, other in zip(models, dissected, strict=True):
        for kind in [kind for kind in KINDS if kind in there]:
            for cue in CUES:
                cell = compared.seeds_cell(job, model, models[0], _score, kind, cue)
                what = "all units" if kind == ALL else f"units that detect a concept of the category {kind}"
                cell |= {
                    "formula": f"mean over seeds and {what} of {cue} decisions lost without the unit, three digits"
                }
                cell |= {"unit": "", "kind": kind, "cue": cue}
                cell["units"] = [found["scores"].get(kind, {}).get("units", 0) for found in model.metrics]
                if kind != ALL:
                    units = partial(_detectors, list(model.metrics[0]["layers"]))
                    cell["by_chance"] = means_by_chance([found["by_chance"] for found in other.metrics], units, kind)
                    chance = chance_flags(sum(cell["units"]) / len(cell["units"]), cell["by_chance"])
                    cell["flags"] = [*cell["flags"], *(void_flags(other, dissected[0]) or chance)]
                cell["sources"] = [*model.metrics_source("layers"), *other.metrics_source("layers")]
                cells.append({"row": model.label, "column": f"{kind} {cue}", **cell})
    caption = "Decisions for shape and for texture that change when a unit is set to zero, by the category of the unit."
    write_table(job, text_table(cells, "network"), caption, cells)
    _draw(job, models, cells)


def _score(metrics: dict[str, Any], kind: str, cue: str) -> float | None:
    if metrics["void"] and kind != ALL:
        return None
    found: float | None = metrics["scores"].get(kind, {}).get(cue)
    return found


def _detectors(layers: list[str], found: dict[str, Any], kind: str) -> int:
    """How many units of some layers detect a concept of a category."""
    there = [found["layers"][layer]["detectors"]["by_category"] for layer in layers if layer in found["layers"]]
    return sum(counts.get(kind, 0) for counts in there)


def _draw(job: "Context", models: list[compared.Probed], cells: list[dict[str, Any]]) -> None:
    from robust3d.figures.groups import BarPanel, draw_bar_panels  # planning needs no matplotlib

    panels = []
    for model in models:
        here = [cell for cell in cells if cell["row"] == model.label]
        series = [
            compared.bars(f"{cue} score", place, [cell for cell in here if cell["cue"] == cue])
            for place, cue in enumerate(CUES)
        ]
        groups = list(dict.fromkeys(cell["kind"] for cell in here))
        panels.append(BarPanel(model.label, groups, "lost decisions of a unit", series))
    seeds = len(models[0].metrics)
    over = "Intervals over the training seeds" if seeds > 2 else bars_note(seeds)
    draw_bar_panels(panels, f"{over}. Study “{job.params['study']}”.", job.outputs["picture"])
