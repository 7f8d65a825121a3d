"""A linear support vector machine, one class against all others: what scikit-learn's `LinearSVC` minimises."""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_PRECISION = 1e-7  # of the largest number of the gradient, relative to the penalty and the number of samples


def fit(features: F64, labels: NDArray[np.integer], classes: int, penalty: float) -> F64:
    """Weights (K, D + 1), the last of each row its constant.

    Each row minimises |w|² / 2 + C Σ max(0, 1 - y w·x)² with y = 1 for its class and -1 for all others, and the
    constant inside of w as liblinear has it (Fan et al. 2008, L2-regularised L2-loss).

    Args:
        features: (N, D), taken as they are.
        labels: (N,).
        classes: their number K.
        penalty: C.

    Raises:
        ValueError: features that are not finite.
    """
    from scipy.optimize import minimize

    if not np.isfinite(features).all():
        raise ValueError("features that are not finite")
    known = np.concatenate([np.asarray(features, np.float64), np.ones((len(features), 1))], axis=1)

    def loss(weights: F64, signs: F64) -> tuple[float, F64]:
        missing = np.maximum(0, 1 - signs * (known @ weights))
        return 0.5 * weights @ weights + penalty * missing @ missing, weights - 2 * penalty * (signs * missing) @ known

    rows = []
    for label in range(classes):
        signs = np.where(labels == label, 1.0, -1.0)
        options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": _PRECISION * penalty * len(known)}
        found = minimize(loss, np.zeros(known.shape[1]), (signs,), "L-BFGS-B", jac=True, options=options)
        rows.append(found.x)
    return np.array(rows)


def predict(weights: F64, features: F64) -> NDArray[np.int64]:
    """Classes (N,): of the largest w·x."""
    return np.asarray((features @ weights[:, :-1].T + weights[:, -1]).argmax(1), np.int64)
