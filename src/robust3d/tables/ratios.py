"""Ratios of two counts, such as decisions for the shape among those for shape or texture, as means over images."""

import numpy as np


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
