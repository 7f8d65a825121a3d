"""How well features predict the responses of sites, and which of several layers does so best."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from robust3d.brain import pls
from robust3d.brain.splits import Split
from robust3d.errors import UserError
from robust3d.seeds import numpy_generator

Array = npt.NDArray[np.float64]


def correlations(ours: npt.ArrayLike, truth: npt.ArrayLike) -> Array:
    """Pearson's correlation of each column; 0 where a column is constant, as it predicts nothing."""
    a, b = np.asarray(ours, np.float64), np.asarray(truth, np.float64)
    varied = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    a, b = a - a.mean(0), b - b.mean(0)
    size = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.divide((a * b).sum(0), size, out=np.zeros(a.shape[1]), where=varied & (size > 0))


def site_scores(
    features: npt.ArrayLike,
    responses: npt.ArrayLike,
    splits: Sequence[Split],
    components: int = 25,
    method: pls.Method = "fast",
) -> Array:
    """Correlation (splits, sites) of predicted and measured responses to the images that were not fitted on.

    Args:
        features: (images, p).
        responses: (images, sites), means over repetitions.
        splits: of the images.
        components: of the regression.
        method: see `pls.fit`.

    Raises:
        UserError: as `pls.fit`; or a site with a constant response; or a split with fewer than three test images.
    """
    x, y = pls.compact(features), pls.checked(responses, "responses")
    if constant := np.flatnonzero(np.ptp(y, axis=0) == 0).tolist():
        raise UserError(f"responses: site {constant[0]} answers every image alike; leave such sites out")
    if (fewest := min(len(split.test) for split in splits)) < 3:
        raise UserError(f"a split has {fewest} test images, and a correlation needs 3; take more images or fewer folds")
    found = []
    for split in splits:
        regression = pls.fit(x[split.fit], y[split.fit], components, method)
        found.append(correlations(regression.predict(x[split.test]), y[split.test]))
    return np.stack(found)


class Score(NamedTuple):
    """The median over sites.

    Attributes:
        value: mean over splits of the median over sites (Brain-Score).
        low: of the 95 % interval over sites, a bootstrap that draws sites: it says nothing of further animals.
        high: likewise.
        split_error: standard error of the mean over splits; it counts no variance of sites, and splits overlap.
        sites: how many.
    """

    value: float
    low: float
    high: float
    split_error: float
    sites: int


def score(scores: Array, seed: int, draws: int = 2000) -> Score:
    """The median over sites of (splits, sites), with its interval."""
    medians = np.median(scores, axis=1)
    sites = scores.shape[1]
    generator = numpy_generator(seed, "bootstrap of sites")
    drawn = [np.median(scores[:, generator.integers(sites, size=sites)], axis=1).mean() for _ in range(draws)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    error = float(medians.std(ddof=1) / np.sqrt(len(medians))) if len(medians) > 1 else float("nan")
    return Score(float(medians.mean()), float(low), float(high), error, sites)


class Chosen(NamedTuple):
    """A layer chosen on some images, and where it stood.

    Attributes:
        layer: its name.
        selection: the score of each layer on the images that it was chosen on.
    """

    layer: str
    selection: dict[str, float]


def choose_layer(
    layers: Mapping[str, npt.ArrayLike],
    responses: npt.ArrayLike,
    splits: Sequence[Split],
    components: int = 25,
    method: pls.Method = "fast",
) -> Chosen:
    """The layer whose features predict best, by cross-validation inside the images that are given.

    Give images that no score is reported on: the best of several layers on the reported images is too high. Of equal
    ones the first is taken.
    """
    found = {
        name: float(np.median(site_scores(values, responses, splits, components, method), axis=1).mean())
        for name, values in layers.items()
    }
    return Chosen(max(found, key=lambda name: found[name]), found)


def projection(features: int, dimension: int, seed: int) -> sparse.csr_array | None:
    """A very sparse random projection (p, d), after which layers of all sizes have one number of features.

    Entries are +-sqrt(s / d) with probability 1 / 2s each and 0 otherwise, s = sqrt(p) (Li, Hastie and Church 2006);
    squared distances keep their expected value.

    Returns:
        None where there are no more features than `dimension`: they stay as they are.
    """
    if features <= dimension:
        return None
    generator = numpy_generator(seed, "projection", features, dimension)
    share = 1 / np.sqrt(features)
    counts = generator.binomial(dimension, share, size=features)
    columns = generator.integers(dimension, size=int(counts.sum()))  # the few that meet add up
    values = generator.choice([-1.0, 1.0], size=len(columns)) / np.sqrt(share * dimension)
    pointers = np.concatenate([[0], np.cumsum(counts)])
    return sparse.csr_array((values, columns, pointers), shape=(features, dimension))
