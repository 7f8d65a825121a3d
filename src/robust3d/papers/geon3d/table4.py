"""Table 4: AutoAttack accuracy of adversarial training from scratch, from 2D and 3D pre-training, then controls."""

from typing import TYPE_CHECKING, Any

from robust3d.attacks.budgets import label as row_label
from robust3d.named import Sources
from robust3d.papers.geon3d.reported import TABLE4
from robust3d.tables.cells import data_conditions, write_table
from robust3d.tables.robustness import (
    OTHER_PICTURES,
    Attacked,
    object_flags,
    read_attacked,
    robust_cell,
    trained_against,
)

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


SHOWN = {  # by the kind of the objects
    "pictures": "another set.",
    "categories": "the thirteen categories. The categories are procedural stand-ins for ShapeNet's.",
    "sweethome3d": "real objects of Sweet Home 3D's catalogues.",
}


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: for every cell the metrics and outcomes of each seed's model."""
    study = plan.study
    name = section.table4
    experiment = study.experiments[name]
    found = Sources(plan)
    cells = []
    for norm, budget in section.table4_rows.items():
        trained = trained_against(study, experiment, norm)
        wanted = [(label, key, encoder) for key in trained for label, encoder in plan.columns(name)]
        wanted += [(key, key, None) for key in experiment.controls]
        for label, key, encoder in wanted:
            outcomes = found.outcomes(name, norm, key, encoder)
            place = {"norm": norm, "budget": str(budget), "column": label}
            cells.append({**place, "outcomes": outcomes, "control": key in experiment.controls})
    family = study.family_of(experiment.set)
    kind = study.families[family].kind if family is not None else None
    params: dict[str, Any] = {"study": study.study, "seed": study.seed, "cells": cells, "family_kind": kind}
    params["data"] = data_conditions(plan, experiment.set)
    return params, found.inputs, {}


def write(job: "Context") -> None:
    """Write the table and its cells."""
    import pandas as pd  # not at the top: planning imports this module

    read = [(entry, read_attacked(job, entry["outcomes"])) for entry in job.params["cells"]]
    columns: dict[str, list[list[Attacked]]] = {}
    for entry, models in read:
        columns.setdefault(entry["norm"], []).extend([] if entry["control"] else [models])
    pictures = "pictures" in job.params["data"]
    cells = []
    for entry, models in read:
        row = row_label(entry["norm"], entry["budget"])
        alike = columns[entry["norm"]]
        peers = [*alike[:1], models] if entry["control"] else alike
        flags = [*object_flags(job.params["family_kind"]), *[OTHER_PICTURES] * pictures]
        facts = robust_cell(models, peers, entry["budget"], job.params["seed"], flags)
        facts["printed"] = _printed(entry, row, job.params["study"], bool(flags))
        cells.append({"row": row, "column": entry["column"], **facts, "data": job.params["data"]})
    table = pd.DataFrame({(c["row"], c["column"]): [c["text"]] for c in cells}).T[0].unstack(sort=False)
    table.index.name = "threat"
    kind = "pictures" if pictures else job.params["family_kind"]
    caption = f"AutoAttack accuracy (%) on the test images of {SHOWN.get(kind, 'the thirteen categories.')}"
    write_table(job, table, caption, cells)


def _printed(entry: dict[str, Any], row: str, study: str, other_images: bool) -> dict[str, Any] | None:
    printed = TABLE4[entry["norm"]]
    value = printed["values"].get(entry["column"])  # type: ignore[attr-defined]
    if value is None:
        return None
    return {
        "row": printed["row"],
        "value": value,
        "comparable": study == "paper" and row == printed["row"] and not other_images,
    }
