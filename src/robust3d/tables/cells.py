"""Table cells with their lineage: value, interval, sources and conditions.

A table is a CSV for people and, beside it, a JSON in which every cell names its sources.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.files import sha256

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def percent(value: float) -> str:
    """A share as percent with one decimal, as in the tables."""
    return f"{100 * value:.1f}"


def source(path: Path, pointer: str) -> dict[str, str]:
    """Source of a value: file, JSON pointer (or column of a Parquet file), sha256."""
    return {"file": str(path), "pointer": pointer, "sha256": sha256(path)}


def pointer(*keys: str) -> str:
    """The JSON pointer to a value (RFC 6901)."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


# fmt: off
CLASSIFIER_FACTS = (
    "architecture", "objective", "attack", "attacked", "selection", "augmentation", "normalisation", "start",
    "normalisation_change", "batchnorm", "background", "resolution_px", "training_images", "steps", "selected_step",
    "precision", "devices", "seed", "classes",
)
ENCODER_FACTS = (
    "method", "architecture", "start", "normalisation", "input_background", "target_background", "images_seen",
    "steps", "selected_step", "trained_tensors", "tensors", "validation", "collapse", "devices", "seed", "params",
)
# fmt: on


def conditions(classifier: dict[str, Any]) -> dict[str, Any]:
    """Choices of this model that the paper leaves open."""
    encoder = classifier["encoder"]
    facts = {name: classifier[name] for name in CLASSIFIER_FACTS}
    return facts | {"encoder": {name: encoder[name] for name in ENCODER_FACTS} if encoder else None}


def data_conditions(plan: "Plan", image_set: str) -> dict[str, Any]:
    """Choices about the images of a set that the paper leaves open: shapes, poses, split."""
    name = plan.study.family_of(image_set)
    if name is None:
        return {"pictures": plan.set_params(image_set)}
    family = plan.study.families[name]
    return {"shapes": family.shape_params(), "cameras": family.cameras, "split": family.split}


def run_flags(classifiers: Sequence[dict[str, Any]]) -> list[str]:
    """Flags on the runs behind a cell.

    About collapsed runs, a pre-training that several seeds share, encoders pre-trained on images of another size, and
    unusual data.
    """
    flags = []
    seeds = [(model["encoder"] or {}).get("seed") for model in classifiers]
    if len(seeds) > 1 and len(set(seeds)) == 1 and seeds[0] is not None:
        flags.append(f"the {len(seeds)} training seeds share one pre-training: its noise is in no interval")
    for classifier in classifiers:
        flags += classifier.get("data_notices", [])
        encoder = classifier["encoder"] or {}
        runs = {"classifier": classifier, "pre-training": encoder}
        shown_px = (encoder.get("params") or {}).get("input_px")
        if shown_px is not None and shown_px != classifier["resolution_px"]:
            sizes = f"{shown_px} px, the classifier sees {classifier['resolution_px']} px"
            flags.append(f"the encoder was pre-trained on images resized to {sizes}")
        flags += [f"{name} collapsed: {run['collapse']}" for name, run in runs.items() if run.get("collapse")]
    return list(dict.fromkeys(flags))


def write_table(job: "Context", table: "pd.DataFrame", caption: str, cells: list[dict[str, Any]]) -> None:
    """Write the CSV and the cells, with the name of the study."""
    table.to_csv(job.outputs["table"], lineterminator="\n")
    content = {
        "table": job.params["target"],
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
