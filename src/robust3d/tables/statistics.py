"""Intervals and verdicts over training seeds and test images, as two crossed random effects.

Every seed's model sees the same images, so seeds and images are two crossed random effects. With S seeds and I images
the mean of an outcome has the variance ``(M_seed + max(M_image - M_rest, 0)) / (S I)``, where the M are the mean
squares of the two-way table (Searle, Casella, McCulloch, Variance Components, 1992, section 4.3). The part of the
images has many degrees of freedom, the part of the seeds few:
Satterthwaite's ``df = (whole)^2 / (M_seed^2 / df_seed)``. In a difference, M_seed borrows from other columns as much as
their noise is alike (`_moderated`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust3d.seeds import numpy_generator

LEAST_SEEDS = 3  # for a verdict; fewer give no estimate of training noise
RESAMPLES = 10_000
_ROUNDING = 1e-9  # numbers that differ by less, as a share of their size, are the same
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


def difference(
    ours: Outcomes, baseline: Outcomes, peers: Sequence[Outcomes], seed: int, parts: float = 2
) -> dict[str, Any]:
    """Ours minus the baseline, paired by seed and image; a verdict from three seeds on.

    Three seeds alone give two degrees of freedom, with which a difference of three standard errors is detected 40 times
    in 100. So the seed variance is moderated by that of all columns with the same training and attack.

    Args:
        ours: for each seed, (images,) bool or a mean of bools.
        baseline: the same, of the same seeds on the same images.
        peers: columns whose seed variance says what to expect, including `ours` and the baseline.
        seed: of the bootstrap, if there are too few seeds for a verdict.
        parts: how many times the seed variance of one column is in the difference; 1 / a + 1 / b for means of a and b.

    Returns:
        `value`, `low`, `high` and `standard_error` as shares, `degrees` of freedom (None: so many that t is normal),
        `kind`, `seeds`, `p` and `verdict` (all but the first three, `kind` and `seeds` None with fewer than three
        seeds), `note` (what the interval leaves out, or None).
    """
    table = np.array(ours, float) - np.array(baseline, float)
    value, (seeds, images) = float(table.mean()), table.shape
    if seeds < LEAST_SEEDS:
        drawn = numpy_generator(seed, "bootstrap").integers(0, images, (RESAMPLES, images))
        low, high = np.quantile(table.mean(axis=0)[drawn].mean(axis=1), [0.025, 0.975])
        kind = f"paired bootstrap over {images} images, {RESAMPLES} resamples, 95 %"
        return _no_verdict(value, seeds, _too_few(seeds)) | {"low": float(low), "high": float(high), "kind": kind}
    square, freedom, moderated = _moderated(table, [np.array(column, float) for column in peers], parts)
    kind = f"paired t over {seeds} seeds and {images} images{moderated}, 95 %"
    return _verdict(value, *_variance(table, square, freedom)) | {"kind": kind, "seeds": seeds}


def mean_difference(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of differences that may depend on each other in any way; as `difference`, in their unit.

    The standard error of a mean is at most the mean of the standard errors, whatever their correlations, and the fewest
    degrees of freedom are taken: so the interval is at least as wide as it should be.

    Args:
        found: differences with a standard error, at least one.
    """
    error = float(np.mean([one["standard_error"] for one in found]))
    degrees = min((one["degrees"] for one in found if one["degrees"] is not None), default=math.inf)
    value, seeds = float(np.mean([one["value"] for one in found])), min(one["seeds"] for one in found)
    kind = found[0]["kind"] if len(found) == 1 else f"mean of {len(found)} differences, as if they were one, 95 %"
    return _verdict(value, error**2, degrees) | {"kind": kind, "seeds": seeds}


def _verdict(value: float, variance: float, degrees: float) -> dict[str, Any]:
    p, half = _p_value(value, variance, degrees), _half_width(variance, degrees)
    return {
        "value": value,
        "low": value - half,
        "high": value + half,
        "standard_error": math.sqrt(variance),
        "degrees": degrees if math.isfinite(degrees) else None,
        "p": p,
        "verdict": DIFFERS if p < 0.05 else ALIKE,
        "note": None,
    }


def _no_verdict(value: float, seeds: int, note: str) -> dict[str, Any]:
    blank = dict.fromkeys(("low", "high", "kind", "standard_error", "degrees", "p", "verdict"))
    return {"value": value, **blank, "seeds": seeds, "note": note}


def over_seeds(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> dict[str, Any] | None:
    """95 % interval (t) of the mean of one number per seed, in its own unit; None where there is none.

    For numbers that are no means over images, such as how many units of a network do something. There is none with
    fewer than three seeds, nor where all have the same number: counts that agree by chance and networks whose weights
    are the same in every seed would have an interval without width, as if no noise were left.

    Args:
        values: a number for each seed.
        bounds: the smallest and largest that the number can be; the interval ends there.
    """
    numbers = np.array(values, float)
    if len(numbers) < LEAST_SEEDS:
        return None
    return t_interval(numbers, bounds, _over_seeds(len(numbers)))


def t_interval(numbers: np.ndarray, bounds: tuple[float, float], kind: str) -> dict[str, Any] | None:
    """95 % interval (t) of the mean of two independent numbers or more, in their unit; it ends at the bounds.

    None where all numbers are the same: they do not tell how far others would be from them.
    """
    from scipy import stats  # not at the top: planning imports this module

    if np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max():
        return None
    half = float(stats.t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / math.sqrt(len(numbers)))
    mean = float(numbers.mean())
    return {"low": max(mean - half, bounds[0]), "high": min(mean + half, bounds[1]), "kind": kind}


def seed_difference(ours: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """The same for the difference to a baseline, paired by seed: as `difference`, in the numbers' own unit.

    No verdict either where all seeds have the same difference, as counts may: their noise cannot be told from it.
    """
    pair = np.array([ours, baseline], float)
    rounding = _ROUNDING * np.abs(pair).max()
    apart = pair[0] - pair[1]
    apart[np.abs(apart) <= rounding] = 0
    value, seeds = float(apart.mean()), len(apart)
    if seeds < LEAST_SEEDS:
        return _no_verdict(value, seeds, _too_few(seeds))
    if np.ptp(apart) <= rounding and value != 0:
        return _no_verdict(value, seeds, f"all {seeds} seeds have the same difference: their noise cannot be told")
    return _verdict(value, float(apart.var(ddof=1)) / seeds, seeds - 1) | {"kind": _over_seeds(seeds), "seeds": seeds}


def bars_note(seeds: int) -> str:
    """Text below a figure that explains its error bars."""
    if seeds >= LEAST_SEEDS:
        return f"95 % intervals over {seeds} training seeds and the images"
    return f"95 % intervals over the images; {_too_few(seeds)}"


def _over_seeds(seeds: int) -> str:
    return f"t over {seeds} seeds, 95 %; noise of the test images is not in it"


def _too_few(seeds: int) -> str:
    runs = "one training run" if seeds == 1 else f"{seeds} training runs, too few for a verdict"
    return f"{runs}: training noise is not in this interval"


def _seed_square(table: np.ndarray) -> tuple[float, int]:
    """Mean square of the seeds of (seeds, images), and its degrees of freedom."""
    seeds, images = table.shape
    return images * float(table.mean(axis=1).var(ddof=1)), seeds - 1


def _moderated(table: np.ndarray, columns: Sequence[np.ndarray], parts: float) -> tuple[float, float, str]:
    """Mean square of the seeds of a difference with what the noise of all columns lets expect.

    Where the columns' own squares differ no more than squares with as many degrees of freedom do by chance, theirs is
    pooled, as in a two-way analysis of variance (columns x seeds): ``(columns - 1) (seeds - 1)`` degrees of freedom.
    Else the difference's own is shrunk towards theirs as much as they are alike, by the empirical Bayes estimate of
    Smyth (2004, Linear models and empirical Bayes methods, sections 4 and 6.2): squares are s0^2 F(freedom, d0), and
    the moments of their logarithms give s0 and d0.

    Args:
        table: (seeds, images) of the difference.
        columns: the same of each column; those without noise, as of a fixed answer, or with gaps say nothing.
        parts: how many times a column's noise is expected in the difference's.

    Returns:
        The mean square, its degrees of freedom, and how others' noise is in it, for a reader.
    """
    from scipy import optimize, special

    own, freedom = _seed_square(table)
    noisy = [(square, column) for column in columns if (square := _seed_square(column)[0]) > 0]
    if len(noisy) < 3:
        return own, freedom, ""
    logs = np.log([square for square, _ in noisy])
    excess = float(logs.var(ddof=1)) - float(special.polygamma(1, freedom / 2))
    most = (len(noisy) - 1) * freedom  # what all of them can know
    if excess <= special.polygamma(1, most / 2):
        means = np.array([column.mean(axis=1) for _, column in noisy])  # (columns, seeds)
        rest = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
        square = parts * table.shape[1] * float((rest**2).sum()) / most
        return square, most, f", noise of seeds pooled over {len(noisy)} columns"
    half = float(optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1 / math.sqrt(excess), most / 2))
    bias = [float(special.digamma(x)) - math.log(x) for x in (half, freedom / 2)]  # of the logarithm of a mean square
    expected = parts * math.exp(float(logs.mean()) + bias[0] - bias[1])
    square = (2 * half * expected + freedom * own) / (2 * half + freedom)
    return square, 2 * half + freedom, f", noise of seeds moderated by that of {len(noisy)} unlike columns"


def _variance(table: np.ndarray, seed_square: float, freedom: float) -> tuple[float, float]:
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
