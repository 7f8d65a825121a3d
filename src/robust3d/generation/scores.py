"""Scores from class probabilities: Inception score, class probability, class histogram (3DWINN, tables 2 and 4)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_SUM = 1e-3  # by which probabilities may miss 1


@dataclass(frozen=True)
class Score:
    """A mean over parts of the samples.

    Attributes:
        mean: of the parts.
        deviation: standard deviation of the parts (divided by their number, as is usual for Inception scores).
        parts: number of parts.
        samples: number of samples in all of them.
    """

    mean: float
    deviation: float
    parts: int
    samples: int


def inception_score(probabilities: F64, splits: int = 10, labels: NDArray[np.integer] | None = None) -> Score:
    """Inception score (Salimans et al. 2016): exp of the mean divergence of p(class | sample) from its mean.

    Each part has a mean of its own, so a part in which classes are missing scores lower: samples that lie class by
    class must be mixed, or `labels` given.

    Args:
        probabilities: (N, K), rows that sum to 1.
        splits: number of parts of equal size, up to one sample.
        labels: (N,) by which every part gets an equal share, such as the class that a sample was made for; None: the
            parts are the samples in their order.

    Raises:
        ValueError: fewer samples than parts, or rows that are no probabilities.
    """
    chances = _checked(probabilities)
    if not 1 <= splits <= len(chances):
        raise ValueError(f"{len(chances)} samples cannot be divided into {splits} parts")
    order = np.arange(len(chances)) if labels is None else _dealt(np.asarray(labels))
    # Dealt samples: neighbours are of one class, so part k takes every splits-th one, beginning with the k-th.
    places = [order[k::splits] for k in range(splits)] if labels is not None else np.array_split(order, splits)
    scores = np.array([_score(chances[part]) for part in places])
    return Score(float(scores.mean()), float(scores.std()), splits, len(chances))


def _dealt(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Places sorted by label, each label's in their order."""
    return np.argsort(labels, kind="stable")


def _score(chances: F64) -> float:
    mean = chances.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(chances > 0, chances * (np.log(chances) - np.log(mean)), 0)
    return float(np.exp(terms.sum(1).mean()))


def among(probabilities: F64, classes: NDArray[np.integer]) -> F64:
    """Probabilities (N, k) of some classes, as if there were no others.

    A row that gives none of them any probability knows nothing of which one it is: all of them are equal.
    """
    chances = _checked(probabilities)[:, classes]
    total = chances.sum(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, chances / total, 1 / len(classes))


def class_probability(probabilities: F64, label: int) -> float:
    """Mean probability of the class that samples were made for (3DWINN, table 4)."""
    return float(_checked(probabilities)[:, label].mean())


def class_histogram(probabilities: F64) -> NDArray[np.int64]:
    """(K,) how many samples have each class as their most probable one."""
    chances = _checked(probabilities)
    return np.bincount(chances.argmax(1), minlength=chances.shape[1])


def _checked(probabilities: F64) -> F64:
    chances = np.asarray(probabilities, np.float64)
    if chances.ndim != 2 or not len(chances):
        raise ValueError(f"probabilities of shape {chances.shape}; (samples, classes) are needed")
    if not (chances >= 0).all() or not (np.abs(chances.sum(1) - 1) < _SUM).all():
        raise ValueError("rows that are no probabilities: negative, NaN, or with another sum than 1")
    return chances / chances.sum(1, keepdims=True)
