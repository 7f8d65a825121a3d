"""PASCAL VOC 2012's classification task: photographs of which each may show objects of several of twenty classes.

Files are in torchvision's and the authors' folders, `VOCdevkit/VOC2012/JPEGImages` and `ImageSets/Main`, where
`<class>_<split>.txt` has a line for each picture: its name, and 1 (shows the class), -1 (does not) or 0 (only objects
that are hard to recognise: neither trained nor scored). The test pictures are those of `val`, as those of `test`
have no published labels; the validation pictures are a part of `train`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from robust3d.data.packed import open_images as open_packed
from robust3d.data.params import PictureSetParams
from robust3d.data.picture_sets import draw_pictures
from robust3d.data.published.files import read_photograph
from robust3d.data.published.identity import identity_of
from robust3d.data.published.text import read_text
from robust3d.errors import UserError
from robust3d.params import PathText
from robust3d.parsing import parse

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from robust3d.data.images import ImageData

__all__ = ["Params", "draw", "identity", "list_pictures", "open_images", "picture_reader"]
FOLDER = "VOCdevkit/VOC2012"  # torchvision's
# fmt: off
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on
_CODES = {"1": "1", "-1": "0", "0": "?"}  # in the column `shown` of the table, a character for each class
_VALUES = {"1": 1.0, "0": 0.0, "?": np.nan}


class Params(PictureSetParams):
    """Where the folders are. `images` and `labels_per_class` count a picture by classes that it shows."""

    path: PathText  # the folder that has VOCdevkit in it (torchvision's `root`), or VOC2012 itself

    @model_validator(mode="after")
    def _all_classes(self) -> "Params":
        if self.label_order is not None:
            raise ValueError(
                "label_order: pictures show several of VOC's classes, which keep their order; leave it out"
            )
        return self


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of the files.

    Raises:
        UserError: they are missing.
    """
    return identity_of(_root(params), "JPEGImages", "ImageSets/Main")


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """VOC's classes, and for each picture its split, name, what it has `shown`, and the first class of that.

    Raises:
        UserError: a list is missing, has another form, or lists other pictures than those of other classes.
    """
    import pandas as pd

    rows = []
    for split in ("train", "val"):
        lists = [_listed(_root(params) / "ImageSets/Main" / f"{name}_{split}.txt") for name in CLASSES]
        for name, other in zip(CLASSES, lists, strict=True):
            if other.keys() != lists[0].keys():
                raise UserError(
                    f"{name}_{split}.txt: other pictures than in {CLASSES[0]}_{split}.txt; unpack VOC again"
                )
        for picture in lists[0]:
            shown = "".join(codes[picture] for codes in lists)
            first = next((shown.index(code) for code in "1?" if code in shown), None)
            if first is None:
                raise UserError(f"{picture}: shows none of the classes in ImageSets/Main; unpack VOC again")
            rows.append((split, CLASSES[first], picture, shown))
    return CLASSES, pd.DataFrame(rows, columns=["split", "class_name", "instance", "shown"])


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set, with the column `shown`. A picture's `class_name` is the first class that it shows."""
    settings = parse(Params, params)
    classes, rows = list_pictures(settings, seed)
    first = [name for name in classes if (rows["class_name"] == name).any()]
    table, notices = draw_pictures(first, rows, settings, seed)
    table["class_index"] = table["class_name"].map(classes.index)
    return table.merge(rows[["instance", "shown"]], on="instance", how="left", validate="one_to_one"), notices


def open_images(
    params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], table: "pd.DataFrame", here: npt.NDArray[np.int64]
) -> "ImageData":
    """Open rows of a set, as other sets of pictures, with what each picture shows."""
    from dataclasses import replace

    import torch  # not at the top: planning imports this module

    images = open_packed(params, files, table, here)
    shown = [[_VALUES[code] for code in codes] for codes in images.rows["shown"]]
    return replace(images, shown=torch.tensor(shown), classes=CLASSES)


def picture_reader(params: Params, seed: int) -> "Callable[[Any], Image]":
    """A function that reads the picture of a row."""
    root = _root(params)
    return lambda row: read_photograph(root / "JPEGImages" / f"{row.instance}.jpg")


def _root(params: Params) -> Path:
    given = Path(params.path)
    root = given / FOLDER if (given / FOLDER).is_dir() else given
    for part in ("JPEGImages", "ImageSets/Main"):
        if not (root / part).is_dir():
            raise UserError(
                f'path: no folder {part} in {root}; get VOC 2012 once with python -c "import torchvision; '
                f"torchvision.datasets.VOCDetection('{params.path}', '2012', download=True)\""
            )
    return root


def _listed(path: Path) -> dict[str, str]:
    """The code of each picture in a list of one class."""
    found = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in _CODES:
            raise UserError(
                f"{path}, line {number}: {line[:60]!r} is not a picture's name and 1, 0 or -1; unpack it again"
            )
        found[words[0]] = _CODES[words[1]]
    return found
