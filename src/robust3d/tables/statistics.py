"""Intervals and verdicts over training seeds and test images, as two crossed random effects.

Every seed's model sees the same images, so seeds and images are two crossed random effects. With S seeds and I images
the mean of an outcome has the variance ``(M_seed + max(M_image - M_rest, 0)) / (S I)``, where the M are the mean
squares of the two-way table (Searle, Casella, McCulloch, Variance Components, 1992, section 4.3). The part of the
images has many degrees of freedom, the part of the seeds few:
Satterthwaite's ``df = (whole)^2 / (M_seed^2 / df_seed)``.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from robust3d.seeds import numpy_generator

LEAST_SEEDS = 3  # for a verdict; fewer give no estimate of training noise
RESAMPLES = 10_000
DIFFERS, ALIKE = "differs", "does not differ"
UNBOUNDED, SHARE = (-math.inf, math.inf), (0.0, 1.0)  # what a number can be
Outcomes = Sequence[np.ndarray]  # for each seed, (images,): bool, or a mean of bools


def interval(outcomes: Outcomes) -> dict[str, Any]:
    """95 % interval of an accuracy: over seeds and images from three seeds on, else Wilson's over images.

    Args:
        outcomes: for each seed, (images,) bool, the same images for all.

    Returns:
        `low` and `high`, shares in [0, 1], and `kind`, which says whether training noise is included.
    """
    from scipy import stats  # not at the top: planning imports this module

    table = np.array(outcomes, float)
    seeds, images = table.shape
    if seeds >= LEAST_SEEDS and 0 < table.mean() < 1:
        half = _half_width(*_variance(table, *_seed_square(table)))
        low, high = max(0.0, table.mean() - half), min(1.0, table.mean() + half)
        return {"low": low, "high": high, "kind": f"t over {seeds} seeds and {images} images, 95 %"}
    # Several models count as one: their outcomes on an image are dependent.
    share, z = table.mean(), float(stats.norm.ppf(0.975))
    middle = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    kind = f"Wilson over {images} images, 95 %"
    kind += "" if seeds >= LEAST_SEEDS else f"; {_too_few(seeds)}"
    return {"low": max(0.0, middle - half), "high": min(1.0, middle + half), "kind": kind}


def difference(ours: Outcomes, baseline: Outcomes, peers: Sequence[Outcomes], seed: int) -> dict[str, Any]:
    """Ours minus the baseline, paired by seed and image; a verdict from three seeds on.

    Three seeds alone give two degrees of freedom, with which a difference of three standard errors is detected 40 times
    in 100. So the seed variance is pooled over all columns with the same training and attack, as in a two-way
    analysis of variance (columns x seeds): ``(columns - 1) (seeds - 1)`` degrees of freedom.

    Args:
        ours: for each seed, (images,) bool or a mean of bools.
        baseline: the same, of the same seeds on the same images.
        peers: columns whose seed variance is pooled, including `ours` and the baseline.
        seed: of the bootstrap, if there are too few seeds for a verdict.

    Returns:
        `value`, `low` and `high` as shares, `kind`, `seeds`, `p` and `verdict` (both None with fewer than three
        seeds), `note` (what the interval leaves out, or None).
    """
    table = np.array(ours, float) - np.array(baseline, float)
    value, (seeds, images) = float(table.mean()), table.shape
    if seeds < LEAST_SEEDS:
        drawn = numpy_generator(seed, "bootstrap").integers(0, images, (RESAMPLES, images))
        low, high = np.quantile(table.mean(axis=0)[drawn].mean(axis=1), [0.025, 0.975])
        kind = f"paired bootstrap over {images} images, {RESAMPLES} resamples, 95 %"
        facts = {"value": value, "low": float(low), "high": float(high), "kind": kind, "seeds": seeds}
        return facts | {"p": None, "verdict": None, "note": _too_few(seeds)}
    spread, df = _variance(table, *_pooled_seed_square([np.array(column, float) for column in peers], table))
    half = _half_width(spread, df)
    pooled = f", noise of seeds pooled over {len(peers)} columns" if len(peers) > 2 else ""
    kind = f"paired t over {seeds} seeds and {images} images{pooled}, 95 %"
    p = _p_value(value, spread, df)
    verdict = DIFFERS if p < 0.05 else ALIKE
    facts = {"value": value, "low": value - half, "high": value + half, "kind": kind, "seeds": seeds}
    return facts | {"p": p, "verdict": verdict, "note": None}


def over_seeds(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> dict[str, Any] | None:
    """95 % interval (t) of the mean of one number per seed, in its own unit; None with fewer than three seeds.

    For numbers that are no means over images, such as how many units of a network do something.

    Args:
        values: a number for each seed.
        bounds: the smallest and largest that the number can be; the interval ends there.
    """
    numbers = np.array(values, float)
    if len(numbers) < LEAST_SEEDS:
        return None
    return t_interval(numbers, bounds, f"t over {len(numbers)} seeds, 95 %; noise of the test images is not in it")


def t_interval(numbers: np.ndarray, bounds: tuple[float, float], kind: str) -> dict[str, Any]:
    """95 % interval (t) of the mean of two independent numbers or more, in their unit; it ends at the bounds."""
    from scipy import stats  # not at the top: planning imports this module

    half = float(stats.t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / math.sqrt(len(numbers)))
    mean = float(numbers.mean())
    return {"low": max(mean - half, bounds[0]), "high": min(mean + half, bounds[1]), "kind": kind}


def seed_difference(ours: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """The same for the difference to a baseline, paired by seed: as `difference`, in the numbers' own unit."""
    apart = np.array(ours, float) - np.array(baseline, float)
    value, seeds = float(apart.mean()), len(apart)
    found = over_seeds(apart.tolist())
    if found is None:
        facts = {"value": value, "low": None, "high": None, "kind": None, "seeds": seeds}
        return facts | {"p": None, "verdict": None, "note": _too_few(seeds)}
    p = _p_value(value, float(apart.var(ddof=1)) / seeds, seeds - 1)
    verdict = DIFFERS if p < 0.05 else ALIKE
    return {"value": value, **found, "seeds": seeds, "p": p, "verdict": verdict, "note": None}


def bars_note(seeds: int) -> str:
    """Text below a figure that explains its error bars."""
    if seeds >= LEAST_SEEDS:
        return f"95 % intervals over {seeds} training seeds and the images"
    return f"95 % intervals over the images; {_too_few(seeds)}"


def _too_few(seeds: int) -> str:
    runs = "one training run" if seeds == 1 else f"{seeds} training runs, too few for a verdict"
    return f"{runs}: training noise is not in this interval"


def _seed_square(table: np.ndarray) -> tuple[float, int]:
    """Mean square of the seeds of (seeds, images), and its degrees of freedom."""
    seeds, images = table.shape
    return images * float(table.mean(axis=1).var(ddof=1)), seeds - 1


def _pooled_seed_square(columns: Sequence[np.ndarray], table: np.ndarray) -> tuple[float, int]:
    """The same for a difference of columns, from the deviations of all columns from a common profile over seeds."""
    if len(columns) == 1:  # the baseline with itself
        return _seed_square(table)
    means = np.array([column.mean(axis=1) for column in columns])  # (columns, seeds)
    rest = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
    freedom = (means.shape[0] - 1) * (means.shape[1] - 1)
    return 2 * table.shape[1] * float((rest**2).sum()) / freedom, freedom


def _variance(table: np.ndarray, seed_square: float, freedom: int) -> tuple[float, float]:
    """Variance of the mean of (seeds, images), and its degrees of freedom."""
    seeds, images = table.shape
    by_seed, by_image = table.mean(axis=1, keepdims=True), table.mean(axis=0)
    rest = float(((table - by_seed - by_image + table.mean()) ** 2).sum()) / max(1, (seeds - 1) * (images - 1))
    image_square = seeds * float(by_image.var(ddof=1)) if images > 1 else 0.0
    # Seeds that agree on all images by chance would give zero variance; the variance of images is the minimum.
    seed_square = seed_square or rest
    whole = seed_square + max(image_square - rest, 0.0)
    return whole / (seeds * images), freedom * (whole / seed_square) ** 2 if seed_square else math.inf


def _half_width(variance: float, freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom)) * math.sqrt(variance)


def _p_value(value: float, variance: float, freedom: float) -> float:
    """Two-sided p-value; without variance it is 0 or 1."""
    from scipy import stats

    if variance == 0:
        return float(value == 0)
    return float(2 * stats.t.sf(abs(value) / math.sqrt(variance), freedom))
