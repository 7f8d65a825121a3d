"""Gaussian processes on a surface, for morphs of shape and colour (Lüthi et al. 2018, Sutherland et al. 2021).

The kernel is a sum of terms `variance * exp(-|x - y|^2 / length^2)`, without a factor of 2, as in scalismo, the library
of the reference implementation. Channels (x, y, z, or red, green, blue) are independent unless they are mixed.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from robust3d.shapes.procedural.solids import Floats

Terms = tuple[tuple[float, float], ...]
"""(variance, length) of each term."""
Method = Literal["nystrom", "exact", "fourier"]
INDUCING, COMPONENTS = 300, 199  # of the reference implementation
FEATURES = 2000  # cosines for each term of the method `fourier`
Sampler = Callable[[np.random.Generator], Floats]


def kernel(a: Floats, b: Floats, terms: Terms) -> Floats:
    """Covariances (n, m) of points (n, 3) and (m, 3)."""
    squares = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0)
    return np.asarray(sum(variance * np.exp(-squares / length**2) for variance, length in terms), np.float64)


def sampler(
    points: Floats, terms: Terms, method: Method, inducing: Floats | None = None, components: int = COMPONENTS
) -> Sampler:
    """A function that draws a field with three channels, (n, 3), at points (n, 3).

    Args:
        points: where.
        terms: of the kernel.
        method: "exact" has the kernel's covariance; its time grows with the cube of n (3,000 points: two seconds).
            "nystrom" is the reference's approximation of rank 199 from some inducing points, which loses variance
            between these. "fourier" has random cosines whose covariance is the kernel's on average; its time grows
            with n.
        inducing: (m, 3), for "nystrom"; the reference has 300, uniform on the surface.
        components: the rank, of the three channels together.
    """
    if method == "exact":
        covariance = kernel(points, points, terms)
        covariance[np.diag_indices(len(points))] += 1e-6 * sum(variance for variance, _ in terms)
        factor = np.linalg.cholesky(covariance)
        return lambda generator: factor @ generator.normal(size=(len(points), 3))
    if method == "fourier":
        return lambda generator: _fourier(points, terms, generator)
    assert inducing is not None
    basis = nystrom_basis(points, terms, inducing)

    def draw(generator: np.random.Generator) -> Floats:
        # One component is one eigenfunction in one channel: 199 of them are 67, 66 and 66 of the three channels.
        counts = [len(range(channel, components, 3)) for channel in range(3)]
        return np.stack([basis[:, :count] @ generator.normal(size=min(count, basis.shape[1])) for count in counts], 1)

    return draw


def nystrom_basis(points: Floats, terms: Terms, inducing: Floats) -> Floats:
    """Functions (n, m) at the points, the largest first, whose squares sum up to the approximated variance."""
    values, vectors = np.linalg.eigh(kernel(inducing, inducing, terms))
    order = [k for k in np.argsort(values)[::-1] if values[k] > 1e-9 * values.max()]
    return np.asarray(kernel(points, inducing, terms) @ vectors[:, order] / np.sqrt(values[order]), np.float64)


def _fourier(points: Floats, terms: Terms, generator: np.random.Generator) -> Floats:
    total = np.zeros((len(points), 3))
    for variance, length in terms:
        waves = generator.normal(scale=np.sqrt(2) / length, size=(3, FEATURES))
        shift = generator.uniform(0, 2 * np.pi, FEATURES)
        weights = generator.normal(scale=np.sqrt(2 * variance / FEATURES), size=(FEATURES, 3))
        total += np.cos(points @ waves + shift) @ weights
    return total


def mixed(field: Floats, mix: float) -> Floats:
    """Channels with the covariance (I + (mix - 1) J) / mix: independent for 1, nearly equal for large values."""
    covariance = (np.eye(3) + (mix - 1) * np.ones((3, 3))) / mix
    return np.asarray(field @ np.linalg.cholesky(covariance).T, np.float64)
