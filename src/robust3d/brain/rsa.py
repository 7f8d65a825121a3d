"""Representational similarity analysis (Kriegeskorte et al. 2008): dissimilarities of all pairs of images."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.spatial.distance import squareform

from robust3d.brain.pls import checked
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

Array = npt.NDArray[np.float64]
Distance = Literal["correlation", "euclidean"]
Likeness = Literal["spearman", "pearson", "cosine", "kendall"]


def rdm(values: npt.ArrayLike, distance: Distance = "correlation") -> Array:
    """Dissimilarities (n (n - 1) / 2,) of images, in the order of the upper triangle of their matrix, row by row.

    Args:
        values: (n, features or sites).
        distance: "correlation" is 1 - Pearson's r over the features; "euclidean" is the squared distance divided by
            the number of features, as in rsatoolbox.

    Raises:
        UserError: values that are not finite; an image with the same value in all features, which has no correlation.
    """
    x = checked(values, "features")
    if len(x) < 3:
        raise UserError(f"features: a matrix of dissimilarities needs 3 images, got {len(x)}")
    upper = np.triu_indices(len(x), 1)
    if distance == "euclidean":
        x = x - x.mean(0)
        squares = (x**2).sum(1)
        squared = np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0)
        return np.asarray(squared[upper] / x.shape[1], np.float64)
    if (flat := np.ptp(x, axis=1) == 0).any():
        raise UserError(
            f"features: image {int(np.flatnonzero(flat)[0])} has one value in all of them, so nothing correlates with "
            "it; leave it out, or take distance: euclidean"
        )
    x = x - x.mean(1, keepdims=True)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(1 - (x @ x.T)[upper], np.float64)


def matrix(dissimilarities: npt.ArrayLike) -> Array:
    """The symmetric matrix (n, n) of dissimilarities (n (n - 1) / 2,)."""
    return np.asarray(squareform(np.asarray(dissimilarities, np.float64)), np.float64)


def pairs(dissimilarities: npt.ArrayLike, what: str = "RDM") -> Array:
    """The pairs (n (n - 1) / 2,) of a symmetric matrix (n, n) with a zero diagonal.

    Raises:
        UserError: it is none.
    """
    square = checked(dissimilarities, what)
    if square.shape[0] != square.shape[1] or len(square) < 3:
        raise UserError(f"{what}: not a square matrix of 3 images or more, but of shape {square.shape}")
    size = np.abs(square).max() or 1.0
    if np.abs(square - square.T).max() > 1e-6 * size:
        raise UserError(f"{what}: not symmetric; dissimilarities of two images are the same both ways")
    if np.abs(np.diag(square)).max() > 1e-6 * size:
        raise UserError(f"{what}: its diagonal is not 0; perhaps it holds similarities: give 1 - similarity")
    return np.asarray(square[np.triu_indices(len(square), 1)], np.float64)


def likeness(ours: npt.ArrayLike, theirs: npt.ArrayLike, kind: Likeness = "spearman") -> float:
    """How alike two sets of dissimilarities (n (n - 1) / 2,) are, at most 1; "kendall" is tau-a.

    Raises:
        UserError: of different lengths, not finite, or all the same.
    """
    a, b = (checked(np.asarray(values)[None], "RDM")[0] for values in (ours, theirs))
    if a.shape != b.shape:
        raise UserError(
            f"RDM: one has {len(a)} pairs of images, the other {len(b)}; they have to be of the same images"
        )
    if not (np.ptp(a) and np.ptp(b)):
        raise UserError("RDM: all dissimilarities are the same, so nothing can be compared; look at what it is made of")
    if kind == "spearman":
        a, b = stats.rankdata(a), stats.rankdata(b)
    if kind in ("spearman", "pearson"):
        a, b = a - a.mean(), b - b.mean()
    if kind == "kendall":
        tau_b = float(stats.kendalltau(a, b).statistic)
        return tau_b * float(np.sqrt(_untied(a) * _untied(b)))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _untied(values: Array) -> float:
    """Share of pairs of values that differ."""
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float(1 - (counts * (counts - 1)).sum() / (len(values) * (len(values) - 1)))


class Ceiling(NamedTuple):
    """Bounds of the mean likeness that the true model would have to the subjects (Nili et al. 2014)."""

    lower: float
    upper: float


def rsa_ceiling(subjects: Sequence[npt.ArrayLike], kind: Likeness = "spearman") -> Ceiling:
    """Lower: mean likeness of each subject to the mean of the others; upper: to the mean of all.

    For Spearman and Kendall the dissimilarities of each subject are replaced by their ranks before the mean is taken,
    so that no subject counts more by its scale; for Pearson they are standardised, for the cosine scaled to length 1.

    Args:
        subjects: dissimilarities (n (n - 1) / 2,) of each, two or more.
        kind: of likeness.

    Raises:
        UserError: a single subject.
    """
    if len(subjects) < 2:
        raise UserError("RDM: a ceiling compares subjects, and there is only one; give at least two")
    own = [np.asarray(values, np.float64) for values in subjects]
    scaled = np.stack([_scaled(values, kind) for values in own])
    total = scaled.sum(0)
    lower = [likeness(a, (total - b) / (len(own) - 1), kind) for a, b in zip(own, scaled, strict=True)]
    upper = [likeness(a, total / len(own), kind) for a in own]
    return Ceiling(float(np.mean(lower)), float(np.mean(upper)))


def _scaled(values: Array, kind: Likeness) -> Array:
    if kind in ("spearman", "kendall"):
        return np.asarray(stats.rankdata(values), np.float64)
    centred = values - values.mean() if kind == "pearson" else values
    return np.asarray(centred / np.linalg.norm(centred), np.float64)


class Compared(NamedTuple):
    """Mean likeness of a model to subjects, each of them, and a 95 % interval from a bootstrap over images."""

    value: float
    subjects: tuple[float, ...]
    low: float
    high: float


def compared(
    model: npt.ArrayLike, subjects: Sequence[npt.ArrayLike], kind: Likeness = "spearman", draws: int = 0, seed: int = 0
) -> Compared:
    """Compare dissimilarities (n (n - 1) / 2,) of a model with those of subjects.

    Args:
        model: of the model.
        subjects: of each.
        kind: of likeness.
        draws: of images with replacement, for the interval; pairs of an image with itself are left out. 0: no
            interval (NaN).
        seed: of the draws.
    """
    values = [likeness(model, subject, kind) for subject in subjects]
    low = high = float("nan")
    if draws:
        squares = [matrix(model), *(matrix(subject) for subject in subjects)]
        generator, images = numpy_generator(seed, "bootstrap of images"), len(squares[0])
        upper, found = np.triu_indices(images, 1), []
        for _ in range(draws):
            drawn = generator.integers(images, size=images)
            kept = drawn[upper[0]] != drawn[upper[1]]
            ours, *theirs = (square[drawn[upper[0]], drawn[upper[1]]][kept] for square in squares)
            found.append(np.mean([likeness(ours, other, kind) for other in theirs]))
        low, high = (float(value) for value in np.percentile(found, [2.5, 97.5]))
    return Compared(float(np.mean(values)), tuple(values), low, high)


def between(rdms: Mapping[str, npt.ArrayLike], kind: Likeness = "spearman") -> dict[str, dict[str, float]]:
    """Likeness of every representation to every other one, such as networks among themselves (Flatland section 5)."""
    return {one: {other: likeness(rdms[one], rdms[other], kind) for other in rdms} for one in rdms}
