"""Centred kernel alignment of two representations of the same images (Kornblith et al. 2019)."""

import numpy as np
import numpy.typing as npt

from robust3d.brain.pls import Array, checked
from robust3d.errors import UserError


def linear_cka(ours: npt.ArrayLike, theirs: npt.ArrayLike, unbiased: bool = True) -> float:
    """Linear CKA of features (n, p) and (n, q): HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = X X', L = Y Y'.

    It is the same for any rotation and scale of either. With few images and many features the plain estimate goes to 1
    for unrelated features; the unbiased one (Song et al. 2012, equation 5) has the expected value 0, and may be
    negative.

    Raises:
        UserError: other images, or features that are constant.
    """
    x, y = checked(ours, "features"), checked(theirs, "features")
    if len(x) != len(y):
        raise UserError(f"features of {len(x)} and of {len(y)} images cannot be compared; give the same images")
    if len(x) < 4:
        raise UserError(f"features: CKA needs 4 images or more, got {len(x)}")
    kernels = [_kernel(values, unbiased) for values in (x, y)]
    hsic = _unbiased if unbiased else _plain
    size = hsic(kernels[0], kernels[0]) * hsic(kernels[1], kernels[1])
    if size <= 0:
        raise UserError("features: all are constant over the images; choose another layer, or other images")
    return float(hsic(kernels[0], kernels[1]) / np.sqrt(size))


def _kernel(values: Array, unbiased: bool) -> Array:
    centred = values - values.mean(0)
    kernel = centred @ centred.T
    if unbiased:
        np.fill_diagonal(kernel, 0)
    return np.asarray(kernel, np.float64)


def _plain(k: Array, other: Array) -> float:
    return float((k * other).sum())


def _unbiased(k: Array, other: Array) -> float:
    n = len(k)
    rows, columns = k.sum(0), other.sum(0)
    return float(
        ((k * other).sum() + rows.sum() * columns.sum() / ((n - 1) * (n - 2)) - 2 * (rows @ columns) / (n - 2))
        / (n * (n - 3))
    )
