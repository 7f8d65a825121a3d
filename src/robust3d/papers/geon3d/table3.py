"""Table 3: accuracy without attack on test images whose background texture is not correlated with the class."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import OUTCOMES, Sources
from robust3d.papers.geon3d.reported import TABLE3
from robust3d.tables.cells import conditions, data_conditions, percent, run_flags, source, text_table, write_table
from robust3d.tables.robustness import object_flags
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    from pathlib import Path

    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

ROW = "shifted"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: for every cell the metrics and outcomes of each seed's model."""
    study = plan.study
    name = section.table3
    experiment = study.experiments[name]
    found = Sources(plan)
    cells = []
    wanted: list[tuple[str, str, str | None, str]] = [
        (f"{label}-{study.classifiers[key].attack.norm}", key, encoder, study.classifiers[key].attack.norm)
        for key in experiment.classifiers
        for label, encoder in plan.columns(name)
    ]
    wanted += [(key, key, None, key) for key in experiment.controls]
    for column, key, encoder, group in wanted:
        outcomes = found.outcomes(name, section.table3_probe, key, encoder)
        cells.append(
            {"column": column, "start": column.removesuffix(f"-{group}"), "group": group, "outcomes": outcomes}
        )
    params: dict[str, Any] = {
        "study": study.study,
        "seed": study.seed,
        "cells": cells,
        "textures": study.textures.source,
    }
    family = study.family_of(experiment.set)
    params["family_kind"] = study.families[family].kind if family is not None else None
    params["data"] = data_conditions(plan, experiment.set)
    return params, found.inputs, {}


def write(job: "Context") -> None:
    """Write the table and its cells."""
    stand_in = job.params["textures"] == "procedural"
    read = [_read(job, entry["outcomes"]) for entry in job.params["cells"]]
    groups: dict[str, dict[str, list[np.ndarray]]] = {}
    for entry, (_, correct, _) in zip(job.params["cells"], read):
        groups.setdefault(entry["group"], {})[entry["start"]] = correct
    cells = []
    for entry, (metrics, correct, unshifted) in zip(job.params["cells"], read):
        peers = groups[entry["group"]]
        scratch = next(iter(peers))
        paths, outcome_paths = ([job.named(kind, name) for name in entry["outcomes"]] for kind in OUTCOMES)
        value = float(np.mean([outcome.mean() for outcome in correct]))
        others = object_flags(job.params["family_kind"])
        flags = [*others, *["procedural textures stand in for DTD"] * stand_in]
        flags += run_flags([content["classifier"] for content in metrics])
        printed = TABLE3.get(entry["column"])
        comparable = (
            job.params["study"] == "paper" and not stand_in and not others and "pictures" not in job.params["data"]
        )
        cells.append(
            {
                "row": ROW,
                "column": entry["column"],
                "text": percent(value),
                "value": 100 * value,
                "unit": "%",
                "formula": "mean over seeds of correct images / shifted test images, x 100, one decimal",
                "n": len(correct[0]),
                "interval": interval(correct),
                "difference_to_AT": {
                    "to": f"{scratch}-{entry['group']}",
                    **difference(correct, peers[scratch], [*peers.values()], job.params["seed"]),
                },
                **_to_linf(job, entry, groups),
                "unshifted_accuracy": float(np.mean([outcome.mean() for outcome in unshifted])),
                "unshifted_interval": interval(unshifted),
                "printed": {"row": ROW, "value": printed, "comparable": comparable} if printed else None,
                "flags": flags,
                "conditions": [conditions(content["classifier"]) for content in metrics],
                "data": job.params["data"],
                "sources": [source(path, "/shifted/accuracy") for path in paths]
                + [source(path, "correct where images = shifted") for path in outcome_paths],
            }
        )
    table = text_table(cells, "test set")
    caption = "Accuracy (%) of models trained on Correlated Textured, on a test set that breaks the correlation."
    write_table(job, table, caption + (" The textures are procedural stand-ins for DTD's." if stand_in else ""), cells)


def _to_linf(job: "Context", entry: dict[str, Any], groups: dict[str, dict[str, list[np.ndarray]]]) -> dict[str, Any]:
    """Of training against L2 the difference to the same start's training against Linf (section 5.2)."""
    others = groups.get("Linf", {})
    if entry["group"] != "L2" or entry["start"] not in others:
        return {}
    ours = groups["L2"]
    columns = [*ours.values(), *others.values()]
    apart = difference(ours[entry["start"]], others[entry["start"]], columns, job.params["seed"])
    return {"difference_to_Linf": {"to": f"{entry['start']}-Linf", **apart}}


def _read(job: "Context", names: list[str]) -> tuple[list[dict[str, Any]], list[np.ndarray], list[np.ndarray]]:
    """For each seed's model: metrics, and (images,) bool on the shifted and on the original test images."""
    metrics = [json.loads(job.named("metrics", name).read_text()) for name in names]
    paths = [job.named("outcomes", name) for name in names]
    shifted, unshifted = ([correct_images(path, name) for path in paths] for name in ("shifted", "set"))
    return metrics, shifted, unshifted


def correct_images(path: "Path", images: str) -> np.ndarray:
    """(images,) bool: which images of one set of the test, `set` or `shifted`, are classified correctly."""
    import pandas as pd

    frame = pd.read_parquet(path, columns=["image", "images", "correct"])
    return frame[frame["images"] == images].sort_values("image")["correct"].to_numpy()
