"""The pictures of another set with given statistics: see `robust3d.data.matching`.

Sets that are matched by the same numbers differ in what they show, not in how large, bright or coarse it is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.data.params import MatchParams

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from robust3d.data.images import ImageData


class Params(MatchParams):
    """Which set."""

    of: str  # key of `sets`
    needs_textures: bool = False  # of itself; the other set says it for itself

    @property
    def parts(self) -> tuple[str, ...]:
        """The sets that it is made of."""
        return (self.of,)


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the other set."""
    from robust3d.data.sets import read_noticed_set

    return read_noticed_set(files["set"][0])


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: "np.ndarray"
) -> "ImageData":
    """Open rows of the other set, matched when read; where objects are is not known any more."""
    from dataclasses import replace

    from robust3d.data.matching import matched
    from robust3d.data.mixtures import open_part
    from robust3d.parsing import parse

    (part,) = params["parts"]
    data = open_part(part, {**files, "set": files["set"][1:]}, here)
    own = {name: params[name] for name in MatchParams.model_fields}
    settings, read = parse(MatchParams, own), data.read
    assert read is not None
    return replace(data, read=lambda places: matched(read(places), settings), read_masks=None, read_depths=None)
