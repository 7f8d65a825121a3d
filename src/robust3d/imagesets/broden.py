"""Broden's pictures, all of them test images, with what is where in them: for the probe `dissection`.

The class of a picture is the data set that it comes from, the first folder in its name.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robust3d.data.params import PictureSetParams
from robust3d.params import PathText

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from PIL.Image import Image

    from robust3d.data.images import ImageData


class Params(PictureSetParams):
    """Where the folder is. Pictures are scaled whole, since their masks are of the whole picture."""

    path: PathText  # holds index.csv, label.csv and images/
    fit: Literal["stretch", "exact"] = "stretch"
    images: None = None  # all that there are


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of all files.

    Raises:
        UserError: a file is missing, or a line of the index is not what it should be.
    """
    from robust3d.data.published.broden import Broden
    from robust3d.data.published.identity import identity_of

    broden = Broden(Path(params.path))
    return identity_of(broden.root, "index.csv", "label.csv", *(f"images/{file}" for file in sorted(broden.files)))


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set, in the order of the index; its column `labelled` is the identity of a picture's masks.

    Raises:
        UserError: as `identity`.
    """
    import pandas as pd

    from robust3d.data.published.broden import Broden
    from robust3d.data.published.identity import identity_of

    broden = Broden(Path(params["path"]))
    table = pd.DataFrame({"split": "test", "instance": [entry.image for entry in broden.entries]})
    table["class_name"] = [name.partition("/")[0] for name in table["instance"]]
    classes = sorted(set(table["class_name"]))
    table["class_index"] = table["class_name"].map({name: number for number, name in enumerate(classes)})
    names = [["index.csv", "label.csv", *(f"images/{file}" for file in entry.masks)] for entry in broden.entries]
    return table.assign(view=0, texture="", labelled=[identity_of(broden.root, *each) for each in names]), []


def picture_reader(params: Params, seed: int) -> "Callable[[Any], Image]":
    """A function that returns the picture of a row."""
    from robust3d.data.published.files import read_photograph

    return lambda row: read_photograph(Path(params.path) / "images" / row.instance)


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: "np.ndarray"
) -> "ImageData":
    """Open rows of the set, with the concepts that they are labelled with."""
    from dataclasses import replace

    from robust3d.data import packed
    from robust3d.data.published.broden import Broden

    data = packed.open_images(params, files, table, here)
    broden = Broden(Path(params["path"]))
    number = {entry.image: place for place, entry in enumerate(broden.entries)}
    return replace(data, concepts=broden.concepts([number[name] for name in data.rows["instance"]]))
