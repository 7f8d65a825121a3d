"""Whether one network predicts the same sites better than another: across sites, and across animals."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

Array = npt.NDArray[np.float64]
_EXACT_UP_TO = 14  # animals, whose signs are all tried


class Difference(NamedTuple):
    """Median over sites of the paired differences.

    Attributes:
        value: ours less theirs.
        low: of its 95 % interval, a bootstrap over sites inside each animal: it says nothing of further animals.
        high: likewise.
        p_sites: two-sided, by random changes of the sites' signs; sites of one animal are not independent samples of
            monkeys, so it speaks of these animals only.
        by_animal: the median difference of each.
        p_animals: two-sided, over changes of the animals' signs; at least 2 / 2^n, so no less than 0.5 with two.
        same_sign: whether it has one sign in all animals.
    """

    value: float
    low: float
    high: float
    p_sites: float
    by_animal: dict[str, float]
    p_animals: float
    same_sign: bool


def paired_difference(
    ours: npt.ArrayLike, theirs: npt.ArrayLike, animals: Sequence[str], seed: int, draws: int = 4000
) -> Difference:
    """Compare the scores (sites,) of two networks on the same sites.

    Raises:
        UserError: other numbers of sites, or scores that are not finite.
    """
    a, b, names = np.asarray(ours, np.float64), np.asarray(theirs, np.float64), np.asarray(animals)
    if a.shape != b.shape or a.shape != names.shape or a.ndim != 1 or not len(a):
        raise UserError(f"scores of {a.shape} and {b.shape} sites of {names.shape} animals cannot be paired")
    gaps = a - b
    if not np.isfinite(gaps).all():
        raise UserError(f"scores: site {int(np.flatnonzero(~np.isfinite(gaps))[0])} has none; leave it out of both")
    value = float(np.median(gaps))
    generator = numpy_generator(seed, "paired difference")
    groups = {str(name): gaps[names == name] for name in sorted(set(names.tolist()))}
    samples = [group[generator.integers(len(group), size=(draws, len(group)))] for group in groups.values()]
    drawn = np.median(np.concatenate(samples, axis=1), axis=1)
    low, high = (float(bound) for bound in np.percentile(drawn, [2.5, 97.5]))
    flipped = np.median(gaps * generator.choice([-1.0, 1.0], size=(draws, len(gaps))), axis=1)
    p_sites = float((1 + (np.abs(flipped) >= abs(value) - 1e-15).sum()) / (draws + 1))
    medians = {name: float(np.median(group)) for name, group in groups.items()}
    signs = set(np.sign(list(medians.values())).tolist())
    return Difference(
        value, low, high, p_sites, medians, _sign_flips(list(medians.values()), generator, draws), len(signs) == 1
    )


def _sign_flips(values: Sequence[float], generator: np.random.Generator, draws: int) -> float:
    """Two-sided p value of the mean, over all changes of signs where these are few."""
    own = abs(float(np.mean(values)))
    exact = len(values) <= _EXACT_UP_TO
    size = (draws, len(values))
    signs = np.array(list(product([-1.0, 1.0], repeat=len(values)))) if exact else generator.choice([-1.0, 1.0], size)
    larger = int((np.abs(signs @ np.asarray(values) / len(values)) >= own - 1e-15).sum())
    return larger / len(signs) if exact else (1 + larger) / (1 + len(signs))
