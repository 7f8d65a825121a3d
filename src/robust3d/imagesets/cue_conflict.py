"""Views of objects painted with the texture of a class, their own or another one; or the shape or the texture alone.

Each class has a texture of its own. `validity` is the share of images whose object has its class's own texture: 1 for
training, 0 for images whose shape and texture speak for different classes. Sets that differ only in `validity` or in
`shows` have the same objects in the same views. The label is the class of the shape; where no shape is shown, that of
the texture. The table has a column for each cue, `shape` and `texture`, with the name of a class or nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from robust3d.data.params import CuedSetParams

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from robust3d.data.images import ImageData


class Params(CuedSetParams):
    """A number of images of a family, drawn inside its splits."""

    family: str  # key of `families`

    @model_validator(mode="after")
    def _is_plain(self) -> "Params":
        if self.background.needs_textures:
            raise ValueError("background.kind: black, grey or white; textures are on the objects here")
        return self


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set: the views that a set of kind `views` would have, and the texture of each.

    Args:
        params: of the set, without the family.
        files: `views`, the manifest of the family, and `textures`.
        seed: the study's seed.

    Raises:
        UserError: there are too few textures.
    """
    from robust3d.data.painted import with_cues
    from robust3d.data.textures import Textures
    from robust3d.imagesets import views
    from robust3d.parsing import parse

    settings = parse(CuedSetParams, params)
    plain = {name: params[name] for name in ("images", "background", "label_order")}
    table, notices = views.draw({"kind": "views", **plain}, {**files, "textures": ()}, seed)
    return with_cues(table, settings, Textures.load(files["textures"][0])), notices


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: "np.ndarray"
) -> "ImageData":
    """Open rows of a set, painted and composited from the shards when read."""
    from robust3d.data.painted import PaintedReader

    return PaintedReader(params, files, table.iloc[here].reset_index(drop=True)).images()
