"""Distances between two sets of features: FID, kernel distance, coverage, 1-NNA, memorisation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
_AT_ONCE = 64_000_000  # numbers of a block of distances


@dataclass(frozen=True)
class Frechet:
    """A Fréchet distance.

    Attributes:
        value: the distance (it is a square, as in the literature).
        means: its part from the difference of means.
        covariances: its part from the difference of covariances.
        trace: of both covariances together, the scale of rounding.
        flags: why the value is not what it would be for many samples; empty if there is no reason.
    """

    value: float
    means: float
    covariances: float
    trace: float
    flags: tuple[str, ...]


def frechet_distance(real: F64, made: F64) -> Frechet:
    """Fréchet distance between Gaussians fitted to two sets of features, FID (Heusel et al. 2017).

    Covariances have rank N - 1 at most, and a general square root of their product is inaccurate then. With
    S = A Aᵀ and S' = B Bᵀ, where A and B are the centred samples, the trace of (S S')^½ is the sum of the singular
    values of Aᵀ B: exact to rounding for every N, and no covariance is formed.

    Args:
        real: (N, D).
        made: (M, D).

    Raises:
        ValueError: other shapes, fewer than two samples, or numbers that are not finite.
    """
    (real, made), flags = _checked(real, made, least=2), []
    a, b = (_root(features) for features in (real, made))
    means = float(np.square(real.mean(0) - made.mean(0)).sum())
    trace = float(np.square(a).sum() + np.square(b).sum())
    common = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    fewest = min(len(real), len(made))
    if fewest <= real.shape[1]:
        flags.append(
            f"FID from {fewest:,} samples of {real.shape[1]:,} features: covariances of lower rank, so the value is "
            "biased upwards and comparable only with others from as many samples"
        )
    return Frechet(means + max(trace - 2 * common, 0.0), means, max(trace - 2 * common, 0.0), trace, tuple(flags))


def _root(features: F64) -> F64:
    """A matrix A (min(N, D), D) for which AᵀA is the covariance."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


@dataclass(frozen=True)
class Kernel:
    """A kernel distance.

    Attributes:
        value: mean over subsets of the unbiased squared maximum mean discrepancy; may be below 0.
        deviation: standard deviation over the subsets.
        subsets, size: number of subsets, and of samples in each.
    """

    value: float
    deviation: float
    subsets: int
    size: int


def kernel_distance(real: F64, made: F64, rng: np.random.Generator, subsets: int = 100, size: int = 1000) -> Kernel:
    """Kernel Inception distance with the kernel (x·y / D + 1)³ (Bińkowski et al. 2018): unbiased for few samples.

    Args:
        real: (N, D).
        made: (M, D).
        rng: draws the subsets, each without replacement.
        subsets: how many; one is enough where `size` takes all samples.
        size: samples of each set in a subset; at most all of the smaller set.
    """
    real, made = _checked(real, made, least=2)
    size = min(size, len(real), len(made))
    if size == len(real) == len(made):
        subsets = 1
    values = []
    for _ in range(subsets):
        x, y = (features[rng.choice(len(features), size, replace=False)] for features in (real, made))
        k_xx, k_yy, k_xy = ((p @ q.T / p.shape[1] + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
        within = (k_xx.sum() - np.trace(k_xx) + k_yy.sum() - np.trace(k_yy)) / (size * (size - 1))
        values.append(within - 2 * k_xy.mean())
    return Kernel(float(np.mean(values)), float(np.std(values)), subsets, size)


def coverage(real: F64, made: F64) -> float:
    """Share of real samples that are the nearest one of a generated sample: low where modes are missing.

    The definition for shapes of Achlioptas et al. (2018): each generated sample matches its nearest real one.
    """
    real, made = _checked(real, made)
    return len(np.unique(nearest(made, real)[0])) / len(real)


@dataclass(frozen=True)
class OneNearest:
    """Leave-one-out accuracy of a 1-nearest-neighbour classifier that tells real from generated samples.

    Attributes:
        accuracy: mean of both; 0.5: not to be told apart, 1: always, 0: generated ones are copies.
        real: share of real samples whose nearest other sample is real.
        made: share of generated samples whose nearest other sample is generated.
    """

    accuracy: float
    real: float
    made: float


def one_nearest_accuracy(real: F64, made: F64) -> OneNearest:
    """1-NNA (Lopez-Paz and Oquab 2017; Yang et al. 2019), of sets of equal size: the larger one is cut.

    Of two equally near samples the one of the other set counts as nearer, so copies are seen.
    """
    real, made = _checked(real, made, least=2)
    count = min(len(real), len(made))
    real, made = real[:count], made[:count]
    across = _distances(real, made)
    own_real, own_made = (_distances(features, features) for features in (real, made))
    for own in (own_real, own_made):
        np.fill_diagonal(own, np.inf)
    shares = (
        float((own_real.min(1) < across.min(1)).mean()),
        float((own_made.min(1) < across.min(0)).mean()),
    )
    return OneNearest(sum(shares) / 2, *shares)


@dataclass(frozen=True)
class Memorisation:
    """Whether generated samples lie nearer to the training samples than held-out real ones do.

    Attributes:
        z: of the rank test (Meehan et al. 2020); below -2: samples are copied, above 2: they are further away.
        ratio: median distance of generated samples to the training set, over that of held-out samples.
        copies: share of generated samples that are nearer to the training set than 99 % of the held-out ones.
    """

    z: float
    ratio: float
    copies: float


def memorisation(train: F64, held_out: F64, made: F64) -> Memorisation:
    """Mann-Whitney test of the distances to the nearest training sample, without cells (Meehan et al. 2020, eq. 1)."""
    train, held_out = _checked(train, held_out)
    train, made = _checked(train, made)
    to_made, to_held_out = (nearest(features, train)[1] for features in (made, held_out))
    both = np.concatenate([to_made, to_held_out])
    values, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[inverse]  # ties share their mean rank
    m, n = len(to_made), len(to_held_out)
    u = ranks[:m].sum() - m * (m + 1) / 2
    total = m + n
    ties = (counts.astype(float) ** 3 - counts).sum() / (total * (total - 1))
    deviation = np.sqrt(m * n / 12 * (total + 1 - ties)) if len(values) > 1 else 0.0
    middle = float(np.median(to_held_out))
    return Memorisation(
        z=float((u - m * n / 2) / deviation) if deviation else 0.0,
        ratio=float(np.median(to_made)) / middle if middle else float("nan"),
        copies=float((to_made < np.quantile(to_held_out, 0.01)).mean()),
    )


def nearest(features: F64, others: F64) -> tuple[I64, F64]:
    """Of each row the nearest row of `others`, the first of equally near ones: places (N,) and distances (N,)."""
    step = max(1, _AT_ONCE // max(len(others), 1))
    places, lengths = [], []
    for start in range(0, len(features), step):
        part = features[start : start + step]
        found = _distances(part, others).argmin(1)
        places.append(found)
        lengths.append(np.linalg.norm(part - others[found], axis=1))
    return np.concatenate(places), np.concatenate(lengths)


def _distances(a: F64, b: F64) -> F64:
    """(N, M) squared Euclidean distances; equal rows have exactly 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    middle = b.mean(0)  # short vectors lose fewer digits below
    a, b = a - middle, b - middle
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T
    near = np.argwhere(squares <= 1e-9 * (np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]))
    squares[near[:, 0], near[:, 1]] = np.square(a[near[:, 0]] - b[near[:, 1]]).sum(1)
    return squares


def _checked(real: F64, made: F64, least: int = 1) -> tuple[F64, F64]:
    a, b = (np.asarray(features, np.float64) for features in (real, made))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"features of shapes {a.shape} and {b.shape}; (samples, features) are needed")
    if min(len(a), len(b)) < least:
        raise ValueError(f"{len(a)} and {len(b)} samples; at least {least} are needed")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features that are not finite")
    return a, b
