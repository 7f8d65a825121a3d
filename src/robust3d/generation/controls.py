"""Volumes that a generator must do better than, of each class."""

import numpy as np
from numpy.typing import NDArray

from robust3d.seeds import numpy_generator

U8 = NDArray[np.uint8]


def noise(count: int, side: int, threshold: float, seed: int, name: str) -> U8:
    """Volumes (N, R, R, R) of independent voxels, filled where noise of N(0, 1) is above the threshold."""
    draw = numpy_generator(seed, "noise", name)
    return (draw.standard_normal((count, side, side, side)) > threshold).astype(np.uint8)


def independent(volumes: U8, count: int, seed: int, name: str) -> U8:
    """Volumes (N, R, R, R) of independent voxels, each filled as often as in `volumes` (M, R, R, R)."""
    draw, share = numpy_generator(seed, "independent", name), volumes.mean(0)
    return (draw.random((count, *share.shape)) < share).astype(np.uint8)


def mean_shape(volumes: U8) -> U8:
    """One volume (1, R, R, R): the voxels that are filled most often, as many as `volumes` have on average.

    Few voxels of thin surfaces are filled in half of the volumes, so a cut at one half would leave next to nothing.
    """
    share = volumes.mean(0).ravel()
    count = round(float(share.sum()))
    shape = np.zeros(share.size, np.uint8)
    shape[np.argsort(-share, kind="stable")[:count]] = 1
    return shape.reshape(1, *volumes.shape[1:])
