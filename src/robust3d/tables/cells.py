"""Cells with their lineage: value, interval, what it was made from, and under which conditions.

A table is a CSV for people and, beside it, a JSON in which every cell names its sources.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.provenance.files import sha256
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

RESAMPLES = 10_000


def percent(value: float) -> str:
    """As printed in the tables."""
    return f"{100 * value:.1f}"


def epsilon_label(norm: str, epsilon: float) -> str:
    """`Linf 8/255`, `L2 1.0`: the budget as papers write it."""
    in_255 = epsilon * 255
    if norm == "Linf" and math.isclose(in_255, round(in_255), abs_tol=1e-6):
        return f"{norm} {round(in_255)}/255"
    return f"{norm} {epsilon:.1f}" if math.isclose(epsilon, round(epsilon, 1)) else f"{norm} {epsilon:g}"


def interval(outcomes: Sequence[np.ndarray]) -> dict[str, Any]:
    """95 % interval of an accuracy: Student's t over seeds if there are several, else Wilson's over images.

    Args:
        outcomes: for each seed, (images,) bool.
    """
    from scipy import stats  # planning imports this module and needs none of it

    if len(outcomes) > 1:
        means = np.array([outcome.mean() for outcome in outcomes])
        half = float(stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means)))
        return {
            "low": means.mean() - half,
            "high": means.mean() + half,
            "kind": f"t over {len(means)} seeds, 95 %",
        }
    (outcome,) = outcomes
    bounds = stats.binomtest(int(outcome.sum()), len(outcome)).proportion_ci(method="wilson")
    return {"low": bounds.low, "high": bounds.high, "kind": f"Wilson over {len(outcome)} images, 95 %"}


def difference(ours: Sequence[np.ndarray], baseline: Sequence[np.ndarray], seed: int) -> dict[str, Any]:
    """Ours minus the baseline on the same images, with a paired bootstrap over images.

    Args:
        ours: for each seed, (images,) bool.
        baseline: the same, on the same images.
        seed: of the resampling.
    """
    per_image = np.mean(ours, axis=0) - np.mean(baseline, axis=0)
    rng = numpy_generator(seed, "bootstrap")
    drawn = rng.integers(0, len(per_image), (RESAMPLES, len(per_image)))
    low, high = np.quantile(per_image[drawn].mean(axis=1), [0.025, 0.975])
    return {
        "value": float(per_image.mean()),
        "low": float(low),
        "high": float(high),
        "kind": f"paired bootstrap over {len(per_image)} images, {RESAMPLES} resamples, 95 %",
        "beyond_interval": bool(low > 0 or high < 0),
    }


def source(path: Path, pointer: str) -> dict[str, str]:
    """Where a value was read: file, JSON pointer (or column of a Parquet file), sha256."""
    return {"file": str(path), "pointer": pointer, "sha256": sha256(path)}


# fmt: off
CLASSIFIER_FACTS = (
    "objective", "attack", "selection", "augmentation", "normalisation", "start", "weights", "normalisation_change",
    "batchnorm", "background", "resolution_px", "training_images", "steps", "selected_step", "precision", "devices",
    "seed",
    "classes",
)
ENCODER_FACTS = (
    "method", "init", "normalisation", "input_background", "target_background", "images_seen", "steps",
    "selected_step", "trained_tensors", "tensors", "validation", "collapse", "devices", "params",
)
# fmt: on


def conditions(classifier: dict[str, Any]) -> dict[str, Any]:
    """What the paper leaves open, as it was in this model."""
    encoder = classifier["encoder"]
    facts = {name: classifier[name] for name in CLASSIFIER_FACTS}
    return facts | {"encoder": {name: encoder[name] for name in ENCODER_FACTS} if encoder else None}


def data_conditions(plan: "Plan", image_set: str) -> dict[str, Any]:
    """What the paper leaves open about the images of a set: shapes, poses, split."""
    family = plan.study.families[plan.study.sets[image_set].family]
    return {"shapes": family.shape_params(), "cameras": family.cameras, "split": family.split}


def collapse_flags(classifier: dict[str, Any]) -> list[str]:
    """Sentences on runs that collapsed, the classifier's or its encoder's."""
    runs = {"classifier": classifier, "pre-training": classifier["encoder"] or {}}
    return [f"{name} collapsed: {run['collapse']}" for name, run in runs.items() if run.get("collapse")]


def write_table(job: "Context", table: "pd.DataFrame", caption: str, cells: list[dict[str, Any]]) -> None:
    """Write the CSV and the cells, which say to which study they belong."""
    table.to_csv(job.outputs["table"], lineterminator="\n")
    content = {
        "table": job.params.get("table") or job.params["figure"],
        "study": job.params["study"],
        "caption": caption,
        "index": table.index.name,
        "rows": [str(row) for row in table.index],
        "columns": [str(column) for column in table.columns],
        "cells": cells,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, default=_plain)
    job.outputs["cells"].write_text(text + "\n", encoding="utf-8")


def text_cells(table: "pd.DataFrame", formula: str) -> list[dict[str, Any]]:
    """Cells of a table that is derived from definitions, not measured."""
    return [
        {
            "row": str(row),
            "column": str(column),
            "text": str(value),
            "value": value,
            "formula": formula,
            "sources": [],
        }
        for row, values in table.iterrows()
        for column, value in values.items()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in a cell")
