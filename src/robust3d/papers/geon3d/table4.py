"""Table 4: AutoAttack accuracy of adversarial training from scratch, from 2D and 3D pre-training, then controls."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.attacks.budgets import label as row_label
from robust3d.named import Sources
from robust3d.papers.geon3d.reported import TABLE4
from robust3d.tables.cells import data_conditions, text_table, write_table
from robust3d.tables.robustness import (
    OTHER_PICTURES,
    Attacked,
    object_flags,
    read_attacked,
    robust_cell,
    trained_against,
)
from robust3d.tables.statistics import difference

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


LEARNS = {"ae": "2D", "vae": "2D", "dvr": "3D", "pixelnerf": "3D"}  # what each method reconstructs
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
            place = {"norm": norm, "budget": str(budget), "column": label, "control": key in experiment.controls}
            learns = LEARNS.get(study.pretraining[encoder].method) if encoder else None
            cells.append({**place, "learns": learns, "outcomes": outcomes})
    family = study.family_of(experiment.set)
    kind = study.families[family].kind if family is not None else None
    params: dict[str, Any] = {"study": study.study, "seed": study.seed, "cells": cells, "family_kind": kind}
    params["data"] = data_conditions(plan, experiment.set)
    return params, found.inputs, {}


def write(job: "Context") -> None:
    """Write the table and its cells."""
    read = [(entry, read_attacked(job, entry["outcomes"])) for entry in job.params["cells"]]
    columns: dict[str, dict[str, list[Attacked]]] = {}
    for entry, models in read:
        columns.setdefault(entry["norm"], {}).update({} if entry["control"] else {entry["column"]: models})
    pictures = "pictures" in job.params["data"]
    cells = []
    for entry, models in read:
        row = row_label(entry["norm"], entry["budget"])
        scratch, *_ = alike = columns[entry["norm"]]
        peers = [alike[scratch], models] if entry["control"] else [*alike.values()]
        flags = [*object_flags(job.params["family_kind"]), *[OTHER_PICTURES] * pictures]
        facts = robust_cell(models, peers, scratch, entry["budget"], job.params["seed"], flags)
        if entry["learns"] == "3D":
            flat = [one["column"] for one, _ in read if one["norm"] == entry["norm"] and one["learns"] == "2D"]
            facts |= _to_flat(job, entry, alike, flat) if flat else {}
        facts["printed"] = _printed(entry, row, job.params["study"], bool(flags))
        cells.append({"row": row, "column": entry["column"], **facts, "data": job.params["data"]})
    kind = "pictures" if pictures else job.params["family_kind"]
    caption = f"AutoAttack accuracy (%) on the test images of {SHOWN.get(kind, 'the thirteen categories.')}"
    write_table(job, text_table(cells, "threat"), caption, cells)


def _to_flat(
    job: "Context", entry: dict[str, Any], columns: dict[str, list[Attacked]], flat: list[str]
) -> dict[str, Any]:
    """The difference to the mean of the columns whose pre-training is 2D (section 7)."""
    at = {name: [model.at(entry["budget"]) for model in models] for name, models in columns.items()}
    mean = [np.mean(of_seed, axis=0) for of_seed in zip(*(at[name] for name in flat), strict=True)]
    parts = 1 + 1 / len(flat)
    apart = difference(at[entry["column"]], mean, [*at.values()], job.params["seed"], parts)
    return {"difference_to_2D": {"to": f"the mean of {' and '.join(flat)}", **apart}}


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
