"""Table 4: AutoAttack accuracy of adversarial training from scratch, from 2D and 3D pre-training, then controls."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.tables.cells import (
    collapse_flags,
    conditions,
    data_conditions,
    difference,
    epsilon_label,
    interval,
    percent,
    source,
    write_table,
)
from robust3d.tables.reported import TABLE4

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Job, Plan


def sources(plan: "Plan") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from: for every cell the metrics and outcomes of each seed's model."""
    study = plan.study
    name = study.report.table4
    experiment = study.experiments[name]
    jobs: list[Job] = []
    cells = []
    for norm, epsilon in study.report.table4_rows.items():
        trained_on_norm = [
            key
            for key in experiment.classifiers
            if study.classifiers[key].objective == "pgd" and study.classifiers[key].attack.norm == norm
        ]
        wanted = [(label, key, encoder) for key in trained_on_norm for label, encoder in plan.columns(name)]
        wanted += [(key, key, None) for key in experiment.controls]
        for label, key, encoder in wanted:
            models = [plan.train_classifier(key, experiment, encoder, seed) for seed in study.training_seeds]
            first = len(jobs)
            jobs += [plan.attack_classifier(model, experiment, norm) for model in models]
            cells.append({"norm": norm, "epsilon": epsilon, "column": label, "sources": list(range(first, len(jobs)))})
    family = study.families[study.sets[experiment.set].family]
    told: dict[str, Any] = {"study": study.study, "seed": study.seed, "cells": cells, "family_kind": family.kind}
    told["data"] = data_conditions(plan, experiment.set)
    inputs = {
        "metrics": tuple((job, "metrics") for job in jobs),
        "outcomes": tuple((job, "outcomes") for job in jobs),
    }
    return told, inputs, {}


def write(job: "Context") -> None:
    """Write the table and its cells."""
    import pandas as pd  # planning imports this module and needs none of it

    baseline: dict[str, list[np.ndarray]] = {}
    cells = []
    for told in job.params["cells"]:
        row = epsilon_label(told["norm"], told["epsilon"])
        metrics = [(path, json.loads(path.read_text())) for path in _pick(job, "metrics", told)]
        robust = [_robust(path, told["epsilon"]) for path in _pick(job, "outcomes", told)]
        baseline.setdefault(row, robust)
        value = float(np.mean([outcome.mean() for outcome in robust]))
        key = f"{told['epsilon']:.6g}"
        cells.append(
            {
                "row": row,
                "column": told["column"],
                "text": percent(value),
                "value": 100 * value,
                "unit": "%",
                "formula": "mean over seeds of robust images / test images, x 100, one decimal",
                "n": len(robust[0]),
                "interval": interval(robust),
                "difference_to_AT": difference(robust, baseline[row], job.params["seed"]),
                "clean_accuracy": float(np.mean([content["clean_accuracy"] for _, content in metrics])),
                "accuracy_at_huge_epsilon": [content["sanity"] for _, content in metrics],
                "printed": _printed(told, row, job.params),
                "flags": _flags([content for _, content in metrics], job.params["family_kind"]),
                "attack_flags": [content["flags"] for _, content in metrics],
                "conditions": [conditions(content["classifier"]) for _, content in metrics],
                "data": job.params["data"],
                "sources": [source(path, f"/robust/{key}/accuracy") for path, _ in metrics]
                + [source(path, f"robust where epsilon = {key}") for path in _pick(job, "outcomes", told)],
            }
        )
    table = pd.DataFrame({(c["row"], c["column"]): [c["text"]] for c in cells}).T[0].unstack(sort=False)
    table.index.name = "threat"
    caption = (
        "AutoAttack accuracy (%) on the test images of the thirteen categories. "
        + ("The categories are procedural stand-ins for ShapeNet's." if _stand_in(job.params["family_kind"]) else "")
    ).strip()
    write_table(job, table, caption, cells)


def _pick(job: "Context", name: str, told: dict[str, Any]) -> list[Any]:
    return [job.inputs[name][index] for index in told["sources"]]


def _robust(path: Any, epsilon: float) -> np.ndarray:
    import pandas as pd

    frame = pd.read_parquet(path, columns=["image", "epsilon", "robust"])
    return frame[frame["epsilon"] == epsilon].sort_values("image")["robust"].to_numpy()


def _stand_in(kind: str) -> bool:
    return kind == "categories"


def _printed(told: dict[str, Any], row: str, params: dict[str, Any]) -> dict[str, Any] | None:
    printed = TABLE4[told["norm"]]
    value = printed["values"].get(told["column"])  # type: ignore[attr-defined]
    if value is None:
        return None
    same = params["study"] == "paper" and row == printed["row"] and not _stand_in(params["family_kind"])
    return {"row": printed["row"], "value": value, "comparable": same}


def _flags(metrics: list[dict[str, Any]], family_kind: str) -> list[str]:
    """Sentences that must travel with the number."""
    flags = ["procedural categories stand in for ShapeNet"] if _stand_in(family_kind) else []
    for content in metrics:
        found = content["flags"]
        flags += collapse_flags(content["classifier"]) + found["notices"]
        flags += [
            f"attack warning: {name.replace('_', ' ')}"
            for name in ("randomised", "probabilities", "gradient_in_forward", "square_suspicious")
            if found[name]
        ]
        flags += [f"zero gradients at {count} starts of {name}" for name, count in found["zero_gradients"].items()]
        if content["sanity"]["accuracy"] > 0.01:
            flags.append(f"accuracy at a huge budget is {content['sanity']['accuracy']:.3f}, not about 0")
    return list(dict.fromkeys(flags))
