"""How many volumes of each set are compared, and which ones: every score and distance depends on their number."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Common:
    """A number of samples that is the same for all sets.

    Attributes:
        count: of every set that is compared; 0: none is.
        short: of each other set, why it has too few.
    """

    count: int
    short: Mapping[str, str]


def common(available: Mapping[str, int], least: int, most: int) -> Common:
    """As many samples as the smallest set has, of those that have enough: one with hardly any would spoil all.

    Args:
        available: samples of each set.
        least: fewer mean nothing.
        most: that are compared, such as the number of real ones.
    """
    if most < least:
        return Common(0, {name: f"{most} real volumes to compare with, fewer than {least}" for name in available})
    enough = [number for number in available.values() if number >= least]
    few = {name: f"{number} samples, fewer than {least}" for name, number in available.items() if number < least}
    return Common(min([most, *enough]) if enough else 0, few)


def drawn(groups: NDArray[np.integer], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of `count` samples, without replacement and in random order; of each group equally many, up to one.

    A group with fewer than its share is taken whole, and the others make up for it.

    Args:
        groups: (N,) such as the class or the iteration that a sample is of.
        count: at most N.
        rng: draws them.
    """
    order = rng.permutation(len(groups))
    before = np.zeros(len(order), np.int64)  # samples of its own group that come earlier
    for group in np.unique(groups):
        own = groups[order] == group
        before[own] = np.arange(own.sum())
    return order[np.argsort(before, kind="stable")[:count]]
