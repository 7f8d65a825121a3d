"""What is lost where pose and light are taken from 3D images: FlatWorldDB and its halves (paper section 4.4)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.flatland import measures
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = "3D images and their ablations: transfer with the fewest labels (%), brain predictivity (r), invariances."


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return measures.sources(plan, section, ("transfer", "brain", "features"))


def write(job: "Context") -> None:
    """Write the table: the 3D starts, each followed by its ablations, which are compared with it."""
    found = measures.Measures(job)
    best, validated = best_3d(found)
    cells = []
    for start in found.of_images("3D"):
        flat = [other for other in found.of_images("flat") if other.flat_of == start.label]
        for one in (start, *flat):
            cells += [{"row": one.label, **cell} for cell in _cells(found, one, start)]
    for cell in cells:
        cell["validation"] = validated.get(cell["row"])
        note = f"the best 3D start on validation images is {best}; the ablation is of another one"
        parent = found.starts[cell["row"]].flat_of
        cell["flags"] = [*cell["flags"], *([note] if parent not in (None, best) else [])]
    write_table(job, text_table(cells, "start"), CAPTION, cells)


def best_3d(found: measures.Measures) -> tuple[str, dict[str, float]]:
    """The 3D start of the highest validation accuracy, fine-tuned with the fewest labels, and those of all."""
    training = next(iter(found.job.params["trainings"]))
    values = {start.label: start.validation(training, found.fewest) for start in found.of_images("3D")}
    return max(values, key=lambda label: values[label], default=""), values


def columns(found: measures.Measures) -> list[tuple[str, str, Any]]:
    """(column, kind of measure, which): transfer by training, predictivity by region, invariance by change."""
    job = found.job
    trained = [(name, "transfer", key) for key, name in job.params["trainings"].items()]
    regions = [(region, "brain", region) for region in job.params["regions"]]
    changes = [("Invariance to rotation", "features", None)]
    changes += [(f"Invariance to {label}", "features", key) for label, key in job.params["changes"].items()]
    return [*trained, *regions, *changes]


def measured(found: measures.Measures, start: measures.Start, kind: str, which: Any) -> list[measures.Array]:
    """One measure of one start, for each seed."""
    if kind == "transfer":
        return start.everywhere(which, found.fewest)
    return start.predictivity(which) if kind == "brain" else start.invariance(which)


def _cells(found: measures.Measures, start: measures.Start, whole: measures.Start) -> list[dict[str, Any]]:
    cells = []
    for column, kind, which in columns(found):
        ours = measured(found, start, kind, which)
        value = float(np.mean([np.nanmean(one) for one in ours]))
        times = 100 if kind == "transfer" else 1
        facts = start.facts(kind)
        cell = {"column": column, "text": f"{times * value:.{1 if times > 1 else 3}f}", "value": times * value, **facts}
        cell |= {"unit": "%" if times > 1 else "", "n": len(ours[0]), "interval": measures.spread(ours)}
        cell |= {"formula": "mean over seeds, and over test images or sites", "printed": None}
        if start is not whole:
            peers = [measured(found, one, kind, which) for one in found.starts.values()]
            apart = found.compared(ours, measured(found, whole, kind, which), peers)
            cell["difference"] = {"to": whole.label, **apart}
        cells.append(cell)
    return cells
