"""Partial least squares regression of many responses on many features (PLS2 with regression deflation; Wold 1975).

With centred features X (n, p) and responses Y (n, q), component k has the weight w_k, the first left singular vector
of X_k' Y_k, the score t_k = X_k w_k, and the loadings p_k = X_k' t_k / t_k't_k and q_k = Y_k' t_k / t_k't_k;
then X_{k+1} = X_k - t_k p_k' and Y_{k+1} = Y_k - t_k q_k'. The coefficients are W (P'W)^-1 Q'.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from robust3d.errors import UserError

Array = npt.NDArray[np.float64]
Method = Literal["fast", "nipals"]
MOST_STEPS = 500  # of the power method, and
TOLERANCE = 1e-6  # the squared change of its weights at which it ends: defaults of scikit-learn's PLSRegression
DENSE_UP_TO = 768  # smaller side of X'Y up to which the singular vector comes from a dense eigenproblem
NEGLIGIBLE = 1e-10  # of the features' norm: a score below is rounding, where they have no more dimensions
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Regression:
    """A fitted linear map from features to responses.

    Attributes:
        feature_means: (p,).
        response_means: (q,).
        coefficients: (p, q).
        components: how many were found; fewer than asked where the features explain the responses without the rest.
    """

    feature_means: Array
    response_means: Array
    coefficients: Array
    components: int

    def predict(self, features: npt.ArrayLike) -> Array:
        """Responses (n, q) to features (n, p)."""
        return (np.asarray(features, np.float64) - self.feature_means) @ self.coefficients + self.response_means


class _Found(NamedTuple):
    """Columns for each component."""

    weights: Array  # (p, k)
    loadings: Array  # (p, k)
    response_loadings: Array  # (q, k)


def fit(features: npt.ArrayLike, responses: npt.ArrayLike, components: int = 25, method: Method = "fast") -> Regression:
    """Fit a regression with some components; features are centred and not scaled, as in Brain-Score's metric.

    Args:
        features: (n, p).
        responses: (n, q).
        components: at most min(n - 1, p).
        method: "nipals" takes the steps of scikit-learn's `PLSRegression(scale=False)`, whose power method ends before
            it has converged; "fast" takes the singular vector that it goes towards, and deflates X'Y only (Dayal and
            MacGregor 1997). Correlations of sites differ by about 1e-4, at most a few thousandths.

    Raises:
        UserError: more components than images or features, values that are not finite, or features that are all
            constant.
    """
    x, y = checked(features, "features"), checked(responses, "responses")
    if len(x) != len(y):
        raise UserError(f"features of {len(x)} images and responses to {len(y)} do not match")
    x_mean, y_mean = x.mean(0), y.mean(0)
    varied = np.ptp(x, axis=0) > 0  # the mean of a constant may be off by rounding, which is no signal
    check_components(components, len(x), int(varied.sum()))
    x = np.where(varied, x - x_mean, 0.0)
    y = np.where(np.ptp(y, axis=0) > 0, y - y_mean, 0.0)
    found = (_fast if method == "fast" else _nipals)(x, y, components)
    inner = found.loadings.T @ found.weights
    coefficients = found.weights @ (linalg.pinv(inner) @ found.response_loadings.T)
    return Regression(x_mean, y_mean, coefficients, found.weights.shape[1])


def checked(values: npt.ArrayLike, what: str) -> Array:
    """Values as a matrix of doubles.

    Raises:
        UserError: not a matrix, or not finite.
    """
    matrix = np.asarray(values, np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise UserError(f"{what}: a matrix with a row for each image is needed, got the shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise UserError(
            f"{what}: {int((~np.isfinite(matrix)).sum()):,} values are not finite, the first in row {row}, column "
            f"{column}; leave those images or columns out"
        )
    return matrix


def check_components(components: int, images: int, features: int) -> None:
    """Refuse a number of components that cannot be estimated.

    Args:
        components: asked for.
        images: to fit on.
        features: that vary among them.

    Raises:
        UserError: too many components, or no feature that varies.
    """
    if not features:
        raise UserError("features: all are constant over the images; choose another layer, or other images")
    if components < 1:
        raise UserError(f"components: {components}; at least 1 is needed")
    if components > min(images - 1, features):
        raise UserError(
            f"components: {components} are more than {images} images to fit on and {features} features that vary "
            f"allow; ask for at most {min(images - 1, features)}, or take more images"
        )


def compact(features: npt.ArrayLike) -> Array:
    """Features in at most as many coordinates as there are images; inner products and distances stay as they are.

    Of X' = QR with orthonormal Q, the rows of R' are the rows of X in the basis Q. PLS does not depend on the basis,
    so predictions for these same images stay the same up to rounding, at a fraction of the cost for wide layers. The
    mean over all images is subtracted before, which no regression with an intercept notices.

    Args:
        features: (n, p), of all images, those to fit on and those to predict.

    Returns:
        (n, min(n, p)).
    """
    x = checked(features, "features")
    centred = np.where(np.ptp(x, axis=0) > 0, x - x.mean(0), 0.0)
    if x.shape[1] <= len(x):
        return centred
    (upper,) = linalg.qr(centred.T, mode="r", overwrite_a=True, check_finite=False)
    return np.ascontiguousarray(upper[: len(x)].T)


def _nipals(x: Array, y: Array, components: int) -> _Found:
    """All steps of scikit-learn, in its order; `x` and `y` are centred and get changed."""
    weights, loadings, response_loadings = [], [], []
    smallest = NEGLIGIBLE * np.linalg.norm(x)
    for _ in range(components):
        y[:, np.all(np.abs(y) < 10 * _EPS, axis=0)] = 0.0
        started = next((column for column in y.T if np.any(np.abs(column) > _EPS)), None)
        if started is None:  # nothing is left to explain
            break
        w = _power_method(x, y, started)
        w = w * np.sign(w[np.argmax(np.abs(w))])
        t = x @ w
        if np.linalg.norm(t) <= smallest:
            break
        p, q = t @ x / (t @ t), t @ y / (t @ t)
        x -= np.outer(t, p)
        y -= np.outer(t, q)
        weights.append(w)
        loadings.append(p)
        response_loadings.append(q)
    return _columns(weights, loadings, response_loadings, x.shape[1], y.shape[1])


def _power_method(x: Array, y: Array, y_score: Array) -> Array:
    previous = np.full(x.shape[1], 100.0)
    for _ in range(MOST_STEPS):
        w = x.T @ y_score / (y_score @ y_score)
        w /= np.sqrt(w @ w) + _EPS
        x_score = x @ w
        y_weights = y.T @ x_score / (x_score @ x_score)
        y_score = y @ y_weights / (y_weights @ y_weights + _EPS)
        change = w - previous
        if change @ change < TOLERANCE or y.shape[1] == 1:
            break
        previous = w
    return w


def _fast(x: Array, y: Array, components: int) -> _Found:
    """The same components from X'Y, which is deflated, while X stays: t = X r with r = w - sum_j (p_j'w) r_j."""
    cross = x.T @ y
    smallest, enough = NEGLIGIBLE * np.linalg.norm(x), 1e-13 * np.linalg.norm(cross)  # below these all is rounding
    weights: list[Array] = []
    loadings: list[Array] = []
    response_loadings: list[Array] = []
    rotations: list[Array] = []
    for _ in range(components):
        if np.linalg.norm(cross) <= enough:
            break
        w = _first_left(cross)
        r = w.copy()
        for p, earlier in zip(loadings, rotations, strict=True):
            r -= (p @ w) * earlier
        t = x @ r
        size = t @ t
        if np.sqrt(size) <= smallest:
            break
        p, q = x.T @ t / size, y.T @ t / size
        cross -= np.outer(p, q * size)
        weights.append(w)
        loadings.append(p)
        response_loadings.append(q)
        rotations.append(r)
    return _columns(weights, loadings, response_loadings, x.shape[1], y.shape[1])


def _first_left(matrix: Array) -> Array:
    """The first left singular vector."""
    rows, columns = matrix.shape
    if min(rows, columns) > DENSE_UP_TO:
        start = matrix.sum(0) + np.linspace(1, 2, columns) * np.abs(matrix).max()
        vector = sparse.linalg.svds(matrix, 1, v0=start if columns <= rows else matrix @ start, solver="arpack")[0][
            :, 0
        ]
        return np.asarray(vector, np.float64)
    tall = matrix if columns <= rows else matrix.T
    side = tall.shape[1]
    _, right = linalg.eigh(tall.T @ tall, subset_by_index=[side - 1, side - 1], check_finite=False)
    vector = right[:, 0] if columns > rows else matrix @ right[:, 0]
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


def _columns(weights: list[Array], loadings: list[Array], response_loadings: list[Array], p: int, q: int) -> _Found:
    def beside(vectors: list[Array], length: int) -> Array:
        return np.column_stack(vectors) if vectors else np.zeros((length, 0))

    return _Found(beside(weights, p), beside(loadings, p), beside(response_loadings, q))
