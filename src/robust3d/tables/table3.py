"""Table 3: accuracy, without attack, when the background texture no longer goes with the class."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.tables.cells import (
    collapse_flags,
    conditions,
    data_conditions,
    difference,
    interval,
    percent,
    source,
    write_table,
)
from robust3d.tables.reported import TABLE3

if TYPE_CHECKING:
    from pathlib import Path

    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Job, Plan

ROW = "shifted"


def sources(plan: "Plan") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from: for every cell the metrics and outcomes of each seed's model."""
    study = plan.study
    name = study.report.table3
    experiment = study.experiments[name]
    jobs: list[Job] = []
    cells = []
    wanted: list[tuple[str, str, str | None, str]] = [
        (f"{label}-{study.classifiers[key].attack.norm}", key, encoder, study.classifiers[key].attack.norm)
        for key in experiment.classifiers
        for label, encoder in plan.columns(name)
    ]
    wanted += [(key, key, None, key) for key in experiment.controls]
    for column, key, encoder, group in wanted:
        first = len(jobs)
        jobs += tests(plan, key, encoder)
        cells.append({"column": column, "group": group, "sources": list(range(first, len(jobs)))})
    told: dict[str, Any] = {"study": study.study, "seed": study.seed, "cells": cells, "textures": study.textures.source}
    told["data"] = data_conditions(plan, experiment.set)
    inputs = {
        "metrics": tuple((job, "metrics") for job in jobs),
        "outcomes": tuple((job, "outcomes") for job in jobs),
    }
    return told, inputs, {}


def tests(plan: "Plan", classifier: str, pretraining: str | None) -> "tuple[Job, ...]":
    """The tests of one column, one for each training seed."""
    experiment = plan.study.experiments[plan.study.report.table3]
    seeds = plan.study.training_seeds
    models = (plan.train_classifier(classifier, experiment, pretraining, seed) for seed in seeds)
    return tuple(plan.test_shift(model, experiment) for model in models)


def write(job: "Context") -> None:
    """Write the table and its cells."""
    import pandas as pd  # planning imports this module and needs none of it

    stand_in = job.params["textures"] == "procedural"
    baseline: dict[str, list[np.ndarray]] = {}
    cells = []
    for told in job.params["cells"]:
        paths = [job.inputs["metrics"][index] for index in told["sources"]]
        metrics = [json.loads(path.read_text()) for path in paths]
        outcome_paths = [job.inputs["outcomes"][index] for index in told["sources"]]
        correct = [correct_images(path, "shifted") for path in outcome_paths]
        unshifted = [correct_images(path, "set") for path in outcome_paths]
        baseline.setdefault(told["group"], correct)
        value = float(np.mean([outcome.mean() for outcome in correct]))
        flags = ["procedural textures stand in for DTD"] if stand_in else []
        flags += [flag for content in metrics for flag in collapse_flags(content["classifier"])]
        printed = TABLE3.get(told["column"])
        comparable = job.params["study"] == "paper" and not stand_in
        cells.append(
            {
                "row": ROW,
                "column": told["column"],
                "text": percent(value),
                "value": 100 * value,
                "unit": "%",
                "formula": "mean over seeds of correct images / shifted test images, x 100, one decimal",
                "n": len(correct[0]),
                "interval": interval(correct),
                "difference_to_AT": difference(correct, baseline[told["group"]], job.params["seed"]),
                "unshifted_accuracy": float(np.mean([outcome.mean() for outcome in unshifted])),
                "unshifted_interval": interval(unshifted),
                "printed": {"row": ROW, "value": printed, "comparable": comparable} if printed else None,
                "flags": list(dict.fromkeys(flags)),
                "conditions": [conditions(content["classifier"]) for content in metrics],
                "data": job.params["data"],
                "sources": [source(path, "/shifted/accuracy") for path in paths]
                + [source(path, "correct where images = shifted") for path in outcome_paths],
            }
        )
    table = pd.DataFrame([[cell["text"] for cell in cells]], [ROW], [cell["column"] for cell in cells])
    table.index.name = "test set"
    caption = "Accuracy (%) of models trained on Correlated Textured, on a test set that breaks the correlation."
    write_table(job, table, caption + (" The textures are procedural stand-ins for DTD's." if stand_in else ""), cells)


def correct_images(path: "Path", images: str) -> np.ndarray:
    """(images,) bool: what a test says of one of its sets, `set` or `shifted`."""
    import pandas as pd

    frame = pd.read_parquet(path, columns=["image", "images", "correct"])
    return frame[frame["images"] == images].sort_values("image")["correct"].to_numpy()
