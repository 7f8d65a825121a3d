"""How far the outputs of two runs of a learning stage lie apart, and how far rounding may take them.

The tolerances were found on a CPU, between two instruction sets (AVX-512 and AVX2) with the parameters of
`stages.gentle`. Rounding moved losses and weights by up to 1e-4, and by up to 2e-3 and 2e-4 where a model trains under
attack. A standard deviation of the normalisation that is 2 % off moves weights by 2e-4, of a training under attack the
loss by 3e-3 to 1.4e-2; other random numbers move losses by 2e-2 and more.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import load_file

IN_STEPS = ("accuracy", "answer")  # shares of a few images, which an image near a border moves in large steps


@dataclass(frozen=True)
class Tolerance:
    """What counts as rounding, as shares of what is compared."""

    loss: float
    validation: float  # of small numbers too, such as a divergence
    weights: float
    outcomes: float = 0.1  # of the rows of a table
    picture: float = 0.01  # of the range of a pixel, on average


PLAIN = Tolerance(loss=1e-3, validation=2e-2, weights=2e-4)
UNDER_ATTACK = Tolerance(loss=5e-3, validation=5e-3, weights=1e-3)


def distances(ours: dict[str, Path], theirs: dict[str, Path], allowed: Tolerance) -> Iterator[tuple[str, float, float]]:
    """What is compared, how far it lies apart, and how far it may."""
    for name, path in ours.items():
        other = theirs[name]
        if path.suffix == ".safetensors":
            yield name, _weights(load_file(path), load_file(other)), allowed.weights
        elif path.suffix == ".parquet":
            yield name, _rows(pd.read_parquet(path), pd.read_parquet(other)), allowed.outcomes
        elif path.suffix == ".png":
            pixels, wanted = (np.asarray(Image.open(file), dtype=float) for file in (path, other))
            yield name, float(np.abs(pixels - wanted).mean()) / 255, allowed.picture
        elif name == "metrics":
            yield from _losses(json.loads(path.read_text()), json.loads(other.read_text()), allowed)


def _weights(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """Length of the difference of all trained tensors together, relative to their length."""
    if ours.keys() != theirs.keys():
        return float("inf")
    names = [name for name, value in theirs.items() if value.dtype.kind == "f" and not name.startswith("initial/")]
    squares = [np.square(ours[name].astype(float) - theirs[name]).sum() for name in names]
    lengths = [np.square(theirs[name].astype(float)).sum() for name in names]
    return float(np.sqrt(sum(squares) / sum(lengths)))


def _rows(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """Share of rows in which anything but a floating-point number differs."""
    if list(ours) != list(theirs) or len(ours) != len(theirs):
        return 1.0
    exact = [name for name in ours if ours[name].dtype.kind != "f"]
    return float((ours[exact] != theirs[exact]).any(axis=1).mean())


def _losses(ours: dict[str, Any], theirs: dict[str, Any], allowed: Tolerance) -> Iterator[tuple[str, float, float]]:
    """The largest relative difference of training losses and that of validations, of stages that train."""
    if "rows" not in theirs:
        return
    pairs = list(zip(ours["rows"], theirs["rows"], strict=True))
    yield "training loss", max(_relative(a["training"]["loss"], b["training"]["loss"]) for a, b in pairs), allowed.loss
    apart = [
        _relative(value, b["validation"][name])
        for a, b in pairs
        for name, value in a["validation"].items()
        if not any(word in name for word in IN_STEPS)
    ]
    yield "validation", max(apart, default=0.0), allowed.validation


def _relative(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b) / max(abs(b), 1e-12)
