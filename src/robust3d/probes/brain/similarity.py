"""How alike a network's dissimilarities of images are to those of each animal (Flatland 3.4)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robust3d.brain import rsa

if TYPE_CHECKING:
    from robust3d.brain.assembly import Assembly

DRAWS = 100  # of images, for the interval
Index = npt.NDArray[np.int64]


def similarity(
    features: Mapping[str, npt.ArrayLike], responses: "Assembly", parts: tuple[Index, Index], seed: int
) -> dict[str, Any]:
    """RSA of the layer that is best on the first part of the images, on the second part.

    Args:
        features: of each layer, (images, features).
        responses: of one region to the same images.
        parts: places of the images that choose the layer, and of those that are reported on.
        seed: of the interval.
    """
    choose, report = parts
    theirs = _animals(responses, choose)
    chosen = {name: rsa.compared(rdm_of(np.asarray(values)[choose]), theirs).value for name, values in features.items()}
    layer = max(chosen, key=lambda name: chosen[name])
    animals = _animals(responses, report)
    found = rsa.compared(rdm_of(np.asarray(features[layer])[report]), animals, draws=DRAWS, seed=seed)
    bounds = rsa.rsa_ceiling(animals)._asdict() if len(animals) > 1 else {"lower": None, "upper": None}
    return {"layer": layer, "value": found.value, "low": found.low, "high": found.high, **bounds, "selection": chosen}


def rdm_of(features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Dissimilarities by correlation; an image whose features are all equal is as far from others as from noise (1)."""
    flat = np.ptp(features, axis=1) == 0
    if not flat.any():
        return rsa.rdm(features)
    noise = np.random.default_rng(0).standard_normal(features.shape)
    square = rsa.matrix(rsa.rdm(np.where(flat[:, None], noise, features)))
    square[flat], square[:, flat] = 1.0, 1.0
    np.fill_diagonal(square, 0)
    return rsa.pairs(square)


def _animals(responses: "Assembly", part: Index) -> list[npt.NDArray[np.float64]]:
    """Dissimilarities of each animal; those of a single site are by distance, as one site has no correlation."""
    means, names = responses.means()[part], np.asarray(responses.animals)
    found = []
    for name in sorted(set(responses.animals)):
        sites = means[:, names == name]
        found.append(rsa.rdm(sites) if sites.shape[1] > 2 else rsa.rdm(sites, "euclidean"))
    return found
