"""How reliable responses are, from repetitions of the same images: the most that a perfect model can explain."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robust3d.brain.predictivity import correlations
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    from robust3d.brain.assembly import Assembly

Array = npt.NDArray[np.float64]


def spearman_brown(half: npt.ArrayLike) -> Array:
    """Reliability of all repetitions from the correlation r of two halves: 2 r / (1 + r) (Spearman, Brown 1910)."""
    r = np.asarray(half, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(r > -1, 2 * r / (1 + r), -np.inf)


def reliabilities(assembly: "Assembly", halves: int, seed: int) -> Array:
    """Reliability (halves, sites) of each site's mean over all repetitions.

    Repetitions of each image are divided at random into two halves, whose means are correlated over the images and
    corrected by `spearman_brown`; this is done `halves` times. An image with an odd number of repetitions has one more
    in the first half. Brain-Score takes ten divisions, the median over sites, and the mean over divisions.

    Raises:
        UserError: an image without repetitions.
    """
    assembly.check_repetitions()
    found = []
    for number in range(halves):
        first, second = assembly.halves(numpy_generator(seed, "halves", number))
        found.append(spearman_brown(correlations(first, second)))
    return np.stack(found)


def ceiling(assembly: "Assembly", halves: int = 10, seed: int = 0) -> Array:
    """Reliability (sites,), the mean over random divisions into halves."""
    return np.asarray(reliabilities(assembly, halves, seed).mean(0), np.float64)


def explained(score: npt.ArrayLike, reliability: npt.ArrayLike) -> Array:
    """Share of the explainable variance, r^2 / reliability (Brain-Score's current normalisation); NaN without any.

    The best possible r of a site is the root of its reliability, since the noise of the mean stays in what is to be
    predicted.
    """
    r, most = np.asarray(score, np.float64), np.asarray(reliability, np.float64)
    return np.divide(np.sign(r) * r**2, most, out=np.full(np.broadcast(r, most).shape, np.nan), where=most > 0)
