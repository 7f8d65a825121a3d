"""Figure 4: shape bias of frozen backbones, before and after: shape decisions among those for shape or texture."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.prior3d import compared
from robust3d.tables.cells import percent, text_table, write_table
from robust3d.tables.statistics import bars_note, interval, seed_difference

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
    cells = [_cell(job, row, probe) for row in job.params["rows"]]
    biases = {cell["row"]: cell["by_seed"] for cell in cells if "by_seed" in cell}
    for cell, row in zip(cells, job.params["rows"], strict=True):
        if {cell["row"], row["against"]} <= set(biases):
            apart = seed_difference(biases[cell["row"]], biases[row["against"]])
            cell["difference"] = {"to": row["against"], **apart}
    write_table(job, text_table(cells, "backbone"), "Share (%) of decisions for the shape.", cells)
    note = f"Study “{job.params['study']}”. Bars: {bars_note(len(cells[0]['conditions']))}."
    panel = BarPanel("", [cell["row"] for cell in cells], "shape bias (%)", [bars_of(COLUMN, 1, cells, 100)])
    draw_bar_panels([panel], note, job.outputs["picture"])


def _cell(job: "Context", row: dict[str, Any], probe: str) -> dict[str, Any]:
    ours = compared.Outcomes(job, row, probe)
    decisions = [frame.sort_values("image")["decision"].to_numpy(str) for frame in ours.frames]
    decided = [found[np.isin(found, ("shape", "texture"))] for found in decisions]
    facts = ours.facts()
    cell = {"row": row["label"], "column": COLUMN, "unit": "%", "formula": FORMULA, "printed": None, **facts}
    cell |= {"data": job.params["data"][probe], "sources": ours.sources("set", "decision")}
    cell["flags"] = [*job.params["flags"], *facts["flags"]]
    if not all(map(len, decided)):
        return {**cell, "text": "–", "value": None, "flags": [*cell["flags"], "no decision for shape or texture"]}
    biases = [float((found == "shape").mean()) for found in decided]
    # Which images are decided differs between seeds, so that only images of one seed, or seeds, can be an interval.
    value, size = float(np.mean(biases)), min(map(len, decided))
    return {
        **cell,
        "text": percent(value),
        "value": 100 * value,
        "n": size,
        "by_seed": biases,
        "interval": _interval(biases, decided),
    }


def _interval(biases: list[float], decided: list[np.ndarray]) -> dict[str, Any]:
    if len(biases) < 3:
        return interval([decided[0] == "shape"])
    from scipy import stats

    middle = float(np.mean(biases))
    half = float(stats.t.ppf(0.975, len(biases) - 1) * np.std(biases, ddof=1) / np.sqrt(len(biases)))
    kind = f"t over {len(biases)} seeds, 95 %; noise of the images is not in it"
    return {"low": max(0.0, middle - half), "high": min(1.0, middle + half), "kind": kind}
