"""A linear support vector machine, one class against all others: what scikit-learn's `LinearSVC` minimises."""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_MOST = 200  # Newton steps; about ten are needed
_SHORTEST = 1e-6  # of a Newton step


def fit(features: F64, labels: NDArray[np.integer], classes: int, penalty: float) -> F64:
    """Weights (K, D + 1), the last of each row its constant.

    Each row minimises |w|² / 2 + C Σ max(0, 1 - y w·x)² with y = 1 for its class and -1 for all others, and the
    constant inside of w as liblinear has it (Fan et al. 2008, L2-regularised L2-loss). The function is quadratic
    wherever the set of samples inside the margin stays the same, so Newton's method ends at the exact minimum once
    that set does not change any more (Chapelle 2007).

    Args:
        features: (N, D), taken as they are.
        labels: (N,).
        classes: their number K.
        penalty: C.

    Raises:
        ValueError: features that are not finite.
    """
    if not np.isfinite(features).all():
        raise ValueError("features that are not finite")
    known = np.concatenate([np.asarray(features, np.float64), np.ones((len(features), 1))], axis=1)
    products = known @ known.T if known.shape[1] > len(known) else None  # the smaller one of two equal problems
    signs = [np.where(labels == label, 1.0, -1.0) for label in range(classes)]
    return np.array([_row(known, products, one, penalty) for one in signs])


def _row(known: F64, products: F64 | None, signs: F64, penalty: float) -> F64:
    """The weights (D + 1,) of one class."""

    def loss(weights: F64) -> float:
        missing = np.maximum(0, 1 - signs * (known @ weights))
        return float(0.5 * weights @ weights + penalty * missing @ missing)

    weights, inside = np.zeros(known.shape[1]), np.ones(len(known), bool)
    for _ in range(_MOST):
        found = _minimum(known, products, signs, inside, penalty)
        length, now = 1.0, loss(weights)
        while length > _SHORTEST and loss(weights + length * (found - weights)) > now:
            length /= 2
        weights = weights + length * (found - weights)
        before, inside = inside, signs * (known @ weights) < 1
        if length == 1 and (inside == before).all():
            break
    return weights


def _minimum(known: F64, products: F64 | None, signs: F64, inside: NDArray[np.bool_], penalty: float) -> F64:
    """Where the quadratic function of the samples inside the margin is least."""
    if products is None:
        chosen = known[inside]
        curvature = np.eye(known.shape[1]) + 2 * penalty * chosen.T @ chosen
        return np.asarray(np.linalg.solve(curvature, 2 * penalty * chosen.T @ signs[inside]), np.float64)
    part = products[np.ix_(inside, inside)] + np.eye(int(inside.sum())) / (2 * penalty)
    return np.asarray(known[inside].T @ np.linalg.solve(part, signs[inside]), np.float64)


def predict(weights: F64, features: F64) -> NDArray[np.int64]:
    """Classes (N,): of the largest w·x."""
    return np.asarray((features @ weights[:, :-1].T + weights[:, -1]).argmax(1), np.int64)
