"""Figure 6: how many more or fewer units detect concepts of each category after adversarial training."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.detected import BY_CHANCE, detected_cell
from robust3d.papers.shapebias.reported import FIGURE6
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import bars_note

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CATEGORIES = ("object", "part", "scene", "material", "texture", "color")
CONCEPTS = "unique concepts"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from."""
    return compared.sources(plan, section, section.dissection, section.pairs(*section.dissected))


def write(job: "Context") -> None:
    """A group of bars for each category that the images are labelled with, a bar for each pair of models."""
    models, cells = compared.read_metrics(job), []
    absent = models[0].metrics[0]["absent"]
    kinds = [kind for kind in CATEGORIES if kind not in absent]
    for model in models:
        baseline = model.peers(models)[0]
        for kind in (*kinds, CONCEPTS):
            cell = detected_cell(job, model, baseline, count, kind)
            what = "different concepts that are detected" if kind == CONCEPTS else f"detectors of the category {kind}"
            cell |= {"formula": f"mean over seeds of the number of {what}, in all layers, three digits", "unit": ""}
            cell |= {"sources": model.metrics_source("detectors"), "absent": absent}
            if model is not baseline:
                counts = [[count(metrics, kind) for metrics in one.metrics] for one in (model, baseline)]
                cell["change"] = None if cell["value"] is None else change(*counts)
                number = FIGURE6.get(model.printed or "", {}).get(kind)
                cell["printed"] = compared.printed_beside(job, model, f"{model.printed}, change in %", number)
            cells.append({"row": model.label, "column": kind, **cell})
    caption = (
        "Units that detect a concept of each category (IoU above 0.04), and how many different concepts. The figure "
        "shows the change from each standard network to its robust partner. Cells have the same counts with "
        "the labels of other images, which are by chance."
    )
    write_table(job, text_table(cells, "network"), caption, cells)
    _draw(job, models, cells)


def count(metrics: dict[str, Any], kind: str) -> int:
    """How many detectors of a category there are, or how many different concepts all of them detect."""
    found = metrics["detectors"]
    return int(found["concepts"] if kind == CONCEPTS else found["by_category"].get(kind, 0))


def change(ours: Sequence[int], theirs: Sequence[int]) -> dict[str, Any] | None:
    """The change of a count from networks to others, one pair a seed; None if no network has any.

    It is the mean over seeds of log2((ours + 1/2) / (theirs + 1/2)): few networks have more than some detectors of a
    category, and a mean of percentages would hang on the seed with the fewest. `value`, `interval`: in percent.
    """
    from robust3d.tables.statistics import over_seeds

    if not any((*ours, *theirs)):
        return None
    doublings = [math.log2((mine + 0.5) / (its + 0.5)) for mine, its in zip(ours, theirs, strict=True)]
    mean, found = sum(doublings) / len(doublings), over_seeds(doublings)
    formula = (
        "2^d - 1 in percent, d: mean over seeds of log2((detectors + 1/2) / (those of the standard network + 1/2))"
    )
    facts = {"value": _percent(mean), "unit": "%", "formula": formula, "interval": None}
    facts["doublings"] = {"value": mean, "interval": found}
    if found:
        facts["interval"] = {**found, "low": _percent(found["low"]), "high": _percent(found["high"])}
    return facts


def _percent(doublings: float) -> float:
    return 100 * (2**doublings - 1)


def _draw(job: "Context", models: list[compared.Probed], cells: list[dict[str, Any]]) -> None:
    from robust3d.figures.groups import BarPanel, draw_bar_panels  # planning needs no matplotlib

    columns = list(dict.fromkeys(cell["column"] for cell in cells))
    changed = list(dict.fromkeys(cell["row"] for cell in cells if "change" in cell))
    series = []
    for place, row in enumerate(changed):
        changes = [cell["change"] for cell in cells if cell["row"] == row]
        found = [one["doublings"] if one else {"value": None} for one in changes]
        series.append(compared.bars(row, place, found))
    panel = BarPanel("Change from the standard network", columns, "detectors, in doublings", series)
    note = "1: twice as many, −1: half as many. A group without a bar: no network has such a unit, or it is void. "
    at_chance = [
        name for name in columns if all(BY_CHANCE in cell["flags"] for cell in cells if cell["column"] == name)
    ]
    note += f"Not beyond chance in any network: {', '.join(at_chance)}. " if at_chance else ""
    note += f"Study “{job.params['study']}”.\n"
    note += (
        "Intervals over the training seeds." if len(models[0].metrics) > 2 else bars_note(len(models[0].metrics)) + "."
    )
    draw_bar_panels([panel], note, job.outputs["picture"])
