"""Whether generated volumes differ from each other: what a generator that has collapsed no longer does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IDENTICAL = 0.5  # largest share of samples that repeat another one
DISTANCE = 0.1  # smallest mean distance of two samples, in that of two training volumes
EMPTY, FULL = 0.001, 0.9  # share of filled voxels


@dataclass(frozen=True)
class Diversity:
    """Of one set of binary volumes.

    Attributes:
        identical: share of the volumes that repeat an earlier one.
        distance: mean Hamming distance of two different volumes of the set, as a share of the voxels; 0 for one alone.
        filled: share of filled voxels.
    """

    identical: float
    distance: float
    filled: float


def diversity(volumes: NDArray[np.bool_]) -> Diversity:
    """Diversity of volumes (N, …).

    The mean over all pairs needs no pair: a voxel that is filled in n of N volumes differs in n (N - n) pairs.
    """
    rows = np.asarray(volumes, bool).reshape(len(volumes), -1)
    distinct = len(np.unique(np.packbits(rows, axis=1), axis=0))
    count, filled = len(rows), rows.sum(0, dtype=np.int64)
    pairs = count * (count - 1) / 2
    differing = float((filled * (count - filled)).sum())
    distance = differing / pairs / rows.shape[1] if count > 1 else 0.0
    return Diversity(1 - distinct / count, distance, float(rows.mean()))


def collapse(samples: Diversity, training: Diversity) -> str | None:
    """A message if samples are empty, full or (nearly) one shape, where the training volumes are not."""
    if not EMPTY <= samples.filled <= FULL:
        return f"{samples.filled:.1%} of the voxels of the samples are filled"
    if samples.identical > max(IDENTICAL, training.identical):
        return f"{samples.identical:.0%} of the samples repeat another one"
    if samples.distance < DISTANCE * training.distance:
        share = samples.distance / training.distance
        return f"the samples are alike: their mean distance is {share:.1%} of that of training volumes"
    return None
