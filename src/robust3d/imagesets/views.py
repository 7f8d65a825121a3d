"""Sets of views: renders of a family's objects, or views from disk, on a background."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.data.params import SPLITS, SetParams
from robust3d.errors import UserError
from robust3d.parsing import parse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from robust3d.data.images import ImageData


class Params(SetParams):
    """A number of images of a family, drawn inside its splits."""

    family: str  # key of `families`


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set: views of instances, and their backgrounds.

    Args:
        params: of the set, without the family.
        files: `views`, the manifest of the family, and `textures`, if the background needs them.
        seed: the study's seed.
    """
    return drawn(parse(SetParams, params), files, seed), []


def drawn(settings: SetParams, files: Mapping[str, Sequence[Path]], seed: int, copies: int = 1) -> "pd.DataFrame":
    """The table of views, `copies` rows for each; arguments as for `draw`.

    Raises:
        UserError: a class has no object left in a split.
    """
    from robust3d.data.manifest import Views
    from robust3d.data.sets import draw_set
    from robust3d.data.textures import Textures

    views = Views.read(files["views"][0])
    textures = Textures.load(files["textures"][0]) if files["textures"] else None
    classes = settings.labels(views.classes)
    splits = {split: views.objects(split) for split in SPLITS}
    for split, objects in splits.items():
        gone = [name for name in classes if not objects[name]]
        if gone and views.blank:
            raise UserError(f"no object of class {gone[0]} is left in {split}; {'; '.join(views.notices())}")
    return draw_set(splits, classes, views.views * copies, settings, textures, seed)


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: "np.ndarray"
) -> "ImageData":
    """Open rows of a set, composited from the shards when read.

    Args:
        params: of the set, but for the family; its background is behind the objects.
        files: `views` and `textures`, as for `draw`.
        table: the whole set.
        here: rows of it to open.
    """
    from robust3d.data.view_images import ViewReader

    return ViewReader(params, files, table.iloc[here].reset_index(drop=True)).images()
