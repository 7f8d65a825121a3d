"""Reads the pool of pseudo-negatives of a training: the shapes that a network generated."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Negatives:
    """Some pseudo-negatives.

    Attributes:
        volumes: (N, R, R, R) fp32.
        labels: (N,), 0 where the training had no labels.
        iterations: (N,) after which each was synthesised; 0: initial noise.
        scores: (N,) of the network that made them; NaN for noise.
    """

    volumes: NDArray[np.float32]
    labels: NDArray[np.int64]
    iterations: NDArray[np.int64]
    scores: NDArray[np.float64]


def read_negatives(path: Path, iterations: range | None = None, most: int | None = None) -> Negatives:
    """The pseudo-negatives of some iterations, all by default, the first `most` of each; only these are read."""
    with h5py.File(path, "r", locking=False) as file:
        made = file["iteration"][:]
        wanted = [i for i in np.unique(made) if iterations is None or i in iterations]
        chosen = [np.flatnonzero(made == iteration)[:most] for iteration in wanted]
        rows = np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
        low, high = (file[name][:][rows][:, None, None, None] for name in ("low", "high"))
        values = file["values"][rows] if len(rows) else np.zeros((0, *file["values"].shape[1:]), np.uint8)
        volumes = (low + values / 255 * (high - low)).astype(np.float32)
        return Negatives(volumes, file["label"][:][rows], made[rows], file["score"][:][rows])


def last_iteration(path: Path) -> int:
    """The newest iteration in a file."""
    with h5py.File(path, "r", locking=False) as file:
        return int(file["iteration"][:].max(initial=0))
