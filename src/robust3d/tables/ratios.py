"""Ratios of two counts, such as decisions for the shape among those for shape or texture, as means over images."""

from collections.abc import Sequence

import numpy as np


def decided(decisions: np.ndarray) -> np.ndarray:
    """(images,) bool, whether decisions on images of two cues are for either: shares count those, not `neither`."""
    counted: np.ndarray = np.isin(decisions, ("shape", "texture"))
    return counted


def linearised(chosen: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """A number for each image whose mean is the ratio of the chosen to the counted, and whose variance is the ratio's.

    A ratio is one of two means. These are its values linearised at the ratio (delta method): ratio + (chosen - ratio x
    counted) / mean of counted.

    Args:
        chosen: (images,) bool, of the counted ones only.
        counted: (images,) bool, not all False.
    """
    ratio = chosen.sum() / counted.sum()
    values: np.ndarray = ratio + (chosen - ratio * counted) / counted.mean()
    return values


def over_counted(chosen: Sequence[np.ndarray], counted: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For each seed the linearised values of the images that some seed counts; others are no part of the ratio.

    Args:
        chosen: for each seed, (images,) bool, of the counted ones only.
        counted: the same, each not all False.
    """
    some = np.any(counted, axis=0)
    return [linearised(ours[some], all_of[some]) for ours, all_of in zip(chosen, counted, strict=True)]
