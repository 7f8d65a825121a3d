"""First-layer filters of two networks side by side: which are alike, and a picture of them (Shape bias figure 4)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from robust3d.errors import UserError
from robust3d.models.architecture import Architecture

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Filters = npt.NDArray[np.floating]


class Pair(NamedTuple):
    """A filter and the one of another network that is most like it.

    Attributes:
        filter: number in the one network.
        nearest: number in the other; -1 where the filter or all of the others are of one value, and so like nothing.
        spearman: rank correlation of their weights; NaN where `nearest` is -1.
        variation_difference: total variation of the filter less that of its nearest; NaN likewise.
    """

    filter: int
    nearest: int
    spearman: float
    variation_difference: float


def first_filters(architecture: Architecture, state: Mapping[str, "Tensor"], source: str) -> Filters:
    """The weights (N, C, h, w) of the only convolution that sees the images.

    Args:
        architecture: of the network.
        state: its tensors by name.
        source: of the state, for the message.

    Raises:
        UserError: the architecture does not say which it is, or `state` lacks it.
    """
    if not architecture.first:
        raise UserError(f"{architecture.name}: no single first convolution, so there are no filters to show")
    weights = state.get(architecture.first[0])
    if weights is None or weights.ndim != 4:
        raise UserError(f"{source}: no kernels {architecture.first[0]!r} of the architecture {architecture.name} in it")
    return weights.detach().cpu().double().numpy()


def nearest_filters(ours: Filters, others: Filters) -> list[Pair]:
    """For each filter of ours (N, C, h, w) the one of the others (M, C, h, w) with the largest rank correlation.

    Equal weights share the mean of their ranks, as in `scipy.stats.spearmanr`. Of equally near ones it is the first.

    Raises:
        UserError: the filters are of different shapes.
    """
    from scipy.stats import rankdata

    if ours.shape[1:] != others.shape[1:]:
        raise UserError(
            f"filters of {ours.shape[1:]} cannot be compared with filters of {others.shape[1:]} (channels, height, "
            "width); choose classifiers of one architecture"
        )

    def standardised(filters: Filters) -> Filters:
        ranks = rankdata(filters.reshape(len(filters), -1), axis=1)
        ranks -= ranks.mean(1, keepdims=True)
        length = np.linalg.norm(ranks, axis=1, keepdims=True)
        return np.divide(ranks, length, out=np.full_like(ranks, np.nan), where=length > 0)

    correlation = standardised(ours) @ standardised(others).T
    known = np.where(np.isnan(correlation), -np.inf, correlation)
    variation = [_variation(filters) for filters in (ours, others)]
    pairs = []
    for number, row in enumerate(known):
        nearest = int(row.argmax())
        if row[nearest] == -np.inf:
            pairs.append(Pair(number, -1, np.nan, np.nan))
        else:
            pairs.append(
                Pair(number, nearest, float(row[nearest]), float(variation[0][number] - variation[1][nearest]))
            )
    return pairs


def _variation(filters: Filters) -> Filters:
    across, down = (np.abs(np.diff(filters, axis=axis)).sum((1, 2, 3)) for axis in (3, 2))
    return np.asarray(across + down)


def draw_pairs(
    ours: Filters, others: Filters, pairs: Sequence[Pair], labels: tuple[str, str], columns: int = 16, cell_px: int = 66
) -> "Image":
    """Each filter above its nearest one, with their rank correlation r and the difference of total variation TV.

    Args:
        ours: filters (N, 3, h, w), each shown from its smallest weight (black) to its largest.
        others: those of the other network.
        pairs: of which of them; one without a nearest has a grey square below it.
        labels: names of the two networks.
        columns: pairs in a row.
        cell_px: smallest side of a filter in the picture.

    Raises:
        UserError: no pairs, or filters that are not of colours.
    """
    from robust3d.data.pictures import sheet

    if not pairs or ours.shape[1] != 3:
        raise UserError(f"filters of {ours.shape[1]} channels cannot be drawn as colours (or there are none)")
    rows, left, words = [], [], []
    for start in range(0, len(pairs), columns):
        part = pairs[start : start + columns]
        rows += [
            [_colours(ours[pair.filter]) for pair in part],
            [_colours(others[pair.nearest] if pair.nearest >= 0 else np.zeros_like(ours[0])) for pair in part],
        ]
        left += list(labels)
        words += [[""] * len(part), [_words(pair) for pair in part]]
    return sheet(rows, cell_px, left, words)


def _words(pair: Pair) -> str:
    return f"r {pair.spearman:.2f}\nTV {pair.variation_difference:+.2g}" if pair.nearest >= 0 else "none"


def _colours(weights: Filters) -> npt.NDArray[np.uint8]:
    low, high = weights.min(), weights.max()
    scaled = (weights - low) / (high - low) if high > low else np.full_like(weights, 0.5)
    square = (255 * scaled).round().astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(square)
