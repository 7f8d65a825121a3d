"""Every initialisation under the same training and the same probes, as a table and as a picture."""

from typing import TYPE_CHECKING, Any

from robust3d.named import Sources
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.robustness import read_attacked, robust_cell

if TYPE_CHECKING:
    from robust3d.papers.comparison.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = "Every initialisation under the same training and the same probes."


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from: for every row and column the outcomes of each seed's classifier."""
    found, study = Sources(plan), plan.study
    cells = []
    for label, start in plan.columns(section.experiment):
        for norm in study.attacks:
            key = section.trainings[norm][section.experiment][0]
            outcomes = found.outcomes(section.experiment, norm, key, start)
            budget = str(study.epsilons(study.experiments[section.experiment], norm)[-1])
            cells.append({"row": label, "norm": norm, "budget": budget, "outcomes": outcomes})
    return {"study": study.study, "seed": study.seed, "cells": cells}, found.inputs, {}


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    from robust3d.figures.groups import BarPanel, bars_of, draw_bar_panels  # planning needs no matplotlib

    read = [(entry, read_attacked(job, entry["outcomes"])) for entry in job.params["cells"]]
    cells = []
    for entry, models in read:
        peers = [other for one, other in read if one["norm"] == entry["norm"]]
        column = f"AutoAttack {entry['norm']} {entry['budget']}"
        cells.append(
            {
                "row": entry["row"],
                "column": column,
                **robust_cell(models, peers, entry["budget"], job.params["seed"], []),
            }
        )
    write_table(job, text_table(cells, "initialisation"), CAPTION, cells)
    columns = list(dict.fromkeys(cell["column"] for cell in cells))
    rows = list(dict.fromkeys(cell["row"] for cell in cells))
    bars = [
        bars_of(name, place, [cell for cell in cells if cell["column"] == name], 100)
        for place, name in enumerate(columns)
    ]
    draw_bar_panels([BarPanel("", rows, "accuracy (%)", bars)], CAPTION, job.outputs["picture"])
