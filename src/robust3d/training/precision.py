"""Average precision of scores: how far up a class stands among all images that are ordered by its score. NumPy only."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Precision = Literal["area", "eleven_points", "steps"]
"""area: under the precision made to fall with the recall (PASCAL VOC since 2010); eleven_points: its mean at recalls of
0, 0.1, …, 1 (VOC 2007); steps: under the precision as it is (scikit-learn's `average_precision_score`)."""


def average_precision(scores: npt.ArrayLike, shown: npt.ArrayLike, kind: Precision = "area") -> float:
    """Average precision of one class; images of equal score count at once.

    Args:
        scores: (N,) higher for images that are likelier to show the class.
        shown: (N,) 1 or 0; NaN: not asked.
        kind: how precision is averaged.

    Returns:
        In [0, 1]; NaN if no image shows the class.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(shown, np.float64)
    known = ~np.isnan(truth)
    values, truth = values[known], truth[known]
    if not truth.any():
        return float("nan")
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    last = np.append(values[1:] != values[:-1], True)  # of each group of equal scores
    right, taken = np.cumsum(truth)[last], np.flatnonzero(last) + 1
    recall, precision = right / truth.sum(), right / taken
    highest = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or any higher one
    if kind == "eleven_points":
        places = np.searchsorted(recall, np.arange(11) / 10 - 1e-12)
        return float(highest[places].mean())
    return float((np.diff(recall, prepend=0.0) * (precision if kind == "steps" else highest)).sum())


def mean_average_precision(scores: npt.ArrayLike, shown: npt.ArrayLike, kind: Precision = "area") -> float:
    """The mean over classes of scores (N, K) and `shown` (N, K); classes that no image shows are left out."""
    columns = zip(np.asarray(scores).T, np.asarray(shown).T, strict=True)
    return float(np.nanmean([average_precision(one, truth, kind) for one, truth in columns]))
