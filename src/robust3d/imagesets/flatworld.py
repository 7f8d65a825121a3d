"""Views that are moved about in the picture's plane alone: turned, flipped, shifted, scaled.

For FlatWorldDB of "Beyond Flatland": of a family with one pose and one light, so that nothing of its pictures is 3D.
The row's `view` counts pictures: picture `c` of view `v` is number `v * copies + c`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.data.params import FlatSetParams

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from robust3d.data.images import ImageData


class Params(FlatSetParams):
    """A number of images of a family, drawn inside its splits."""

    family: str  # key of `families`


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set: pictures of views, and their backgrounds.

    Args:
        params: of the set, without the family.
        files: `views`, the manifest of the family, and `textures`, if the background needs them.
        seed: the study's seed.
    """
    from robust3d.imagesets import views
    from robust3d.parsing import parse

    settings = parse(FlatSetParams, params)
    return views.drawn(settings, files, seed, settings.copies), []


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: "np.ndarray"
) -> "ImageData":
    """Open rows of a set, moved and composited from the shards when read."""
    from robust3d.data.flat import FlatReader

    return FlatReader(params, files, table.iloc[here].reset_index(drop=True)).images()
