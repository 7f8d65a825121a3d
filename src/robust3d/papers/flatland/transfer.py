"""Accuracy of fine-tuning and of linear probes on few to all labels of other images (paper section 4.2)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.flatland import measures
from robust3d.tables.cells import percent, text_table, write_table
from robust3d.tables.statistics import interval

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = (
    "Test accuracy (%) after fine-tuning, and of linear probes on frozen features, by the labels of each class. The "
    "random start is training from scratch, and untrained features. Of pictures that show several classes each: mean "
    "average precision."
)
FORMULA = "mean over seeds of right answers / test images, x 100, one decimal"
PRECISION = "mean over seeds and classes of average precision ({}), x 100, one decimal"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return measures.sources(plan, section, ("transfer",))


def write(job: "Context") -> None:
    """Write the table: a row for each start, a column for each target, training and number of labels."""
    cells = cells_of(job)
    write_table(job, text_table(cells, "start"), CAPTION, cells)


def cells_of(job: "Context") -> list[dict[str, Any]]:
    """The cells of all rows and columns; each with its `target`, `training` and `labels`."""
    found = measures.Measures(job)
    cells = []
    for start in found.starts.values():
        for target in job.params["targets"]:
            facts = start.facts("transfer", target)
            for training, name in job.params["trainings"].items():
                for labels in job.params["labels"]:
                    column = f"{target}, {name}, {labels or 'all'} label{'' if labels == 1 else 's'}"
                    cell = _cell(found, start, target, training, labels)
                    place = {"row": start.label, "column": column, "target": target, "training": name, "labels": labels}
                    flags = [*facts["flags"], *cell.pop("flags")]
                    cells.append({**place, **facts, **cell, "flags": flags, "printed": None})
    return cells


def _cell(
    found: measures.Measures, start: measures.Start, target: str, training: str, labels: int | None
) -> dict[str, Any]:
    rights = start.transfer(target, training, labels)
    value, several = float(np.mean([right.mean() for right in rights])), start.several_labels(target)
    ours = measures.spread(rights) if several else interval([right > 0 for right in rights])
    chance = start.chance(target)
    flags = ["accuracy is not beyond chance"] if (ours["low"] if ours else value) <= chance else []
    formula = PRECISION.format(found.job.params["precision"]) if several else FORMULA
    cell = {"text": percent(value), "value": 100 * value, "unit": "%", "formula": formula, "n": len(rights[0])}
    cell |= {"chance": chance, "interval": ours, "flags": flags}
    if searched := start.searched(target, training, labels):
        cell["searched"] = searched
    if start.than != start.label:
        peers = [other.transfer(target, training, labels) for other in found.starts.values()]
        apart = found.compared(rights, found.starts[start.than].transfer(target, training, labels), peers)
        cell["difference"] = {"to": start.than, **apart}
    return cell
