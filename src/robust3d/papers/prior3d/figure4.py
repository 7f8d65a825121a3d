"""Figure 4: shape bias of frozen backbones, before and after: shape decisions among those for shape or texture."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.prior3d import compared
from robust3d.tables.cells import percent, text_table, write_table
from robust3d.tables.ratios import decided, linearised, over_counted
from robust3d.tables.statistics import bars_note, difference, interval

if TYPE_CHECKING:
    from robust3d.papers.prior3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

COLUMN = "Shape bias"
FORMULA = "mean over seeds of decisions for the shape / decisions for the shape or the texture, x 100, one decimal"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from: classifiers of the rows on images that show shape and texture."""
    asked = section.figure4
    return compared.sources(plan, section, section.rows, {asked.probe: []}, {asked.probe: asked.experiment})


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    from robust3d.figures.groups import BarPanel, bars_of, draw_bar_panels  # planning needs no matplotlib

    (probe,) = job.params["data"]
    read = {row["label"]: Decisions(job, row, probe) for row in job.params["rows"]}
    cells = [_cell(job, label, ours, probe) for label, ours in read.items()]
    known = {label: ours.over_images() for label, ours in read.items() if ours.decide}
    for cell, row in zip(cells, job.params["rows"], strict=True):
        if {cell["row"], row["against"]} <= set(known):
            apart = difference(known[cell["row"]], known[row["against"]], list(known.values()), job.params["seed"])
            cell["difference"] = {"to": row["against"], **apart}
    write_table(job, text_table(cells, "backbone"), "Share (%) of decisions for the shape.", cells)
    note = f"Study “{job.params['study']}”. Bars: {bars_note(len(cells[0]['conditions']))}."
    panel = BarPanel("", [cell["row"] for cell in cells], "shape bias (%)", [bars_of(COLUMN, 1, cells, 100)])
    draw_bar_panels([panel], note, job.outputs["picture"])


class Decisions(compared.Outcomes):
    """What one row's classifiers decide for, a seed each."""

    def __init__(self, job: "Context", row: dict[str, Any], probe: str) -> None:
        super().__init__(job, row, probe)
        found = [frame.sort_values("image")["decision"].to_numpy(str) for frame in self.frames]
        self.shape = [one == "shape" for one in found]
        self.decided = [decided(one) for one in found]

    @property
    def decide(self) -> bool:
        """Whether each seed decides for shape or texture at all."""
        return all(one.any() for one in self.decided)

    def over_images(self) -> list[np.ndarray]:
        """For each seed (images,) numbers whose mean is its shape bias."""
        return [linearised(shape, counted) for shape, counted in zip(self.shape, self.decided, strict=True)]


def _cell(job: "Context", label: str, ours: Decisions, probe: str) -> dict[str, Any]:
    facts = ours.facts()
    cell = {"row": label, "column": COLUMN, "unit": "%", "formula": FORMULA, "printed": None, **facts}
    cell |= {"data": job.params["data"][probe], "sources": ours.sources("set", "decision")}
    cell["flags"] = [*job.params["flags"], *facts["flags"]]
    if not ours.decide:
        return {**cell, "text": "–", "value": None, "flags": [*cell["flags"], "no decision for shape or texture"]}
    found = over_counted(ours.shape, ours.decided)
    biases = [float(one.mean()) for one in found]
    value = float(np.mean(biases))
    counts = {"n": len(found[0]), "by_seed": biases, "interval": interval(found)}
    return {**cell, "text": percent(value), "value": 100 * value, **counts}
