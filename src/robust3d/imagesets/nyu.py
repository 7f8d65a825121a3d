"""NYU-Depth V2 as depth estimation uses it: lists of photographs of rooms, each with its depth map.

A line of a list names a picture, its map, and possibly a focal length, which is not needed:
`/kitchen_0028b/rgb_00000.jpg /kitchen_0028b/sync_depth_00000.png 518.8579` (Lee et al. 2019, "From Big to Small";
DINOv2's protocol). A class is a kind of room, the folder's name without its number. Test pictures have kinds that no
training picture has, so the set is for probes of depth rather than for classifiers.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from robust3d.data.depth_maps import DepthParams, depth_of
from robust3d.data.packed import ReadDepth, open_images
from robust3d.data.params import PictureSetParams
from robust3d.data.picture_sets import COLUMNS
from robust3d.data.published.files import read_photograph
from robust3d.data.published.identity import identity_of
from robust3d.data.published.text import read_text
from robust3d.errors import UserError
from robust3d.params import Params as Base
from robust3d.params import PathText
from robust3d.parsing import parse
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

__all__ = ["Params", "depth_reader", "draw", "identity", "open_images", "picture_reader"]
_NONE = "None"  # in the place of a map that does not exist, in lists of other data sets


class Scale(Base):
    """What the numbers of the maps mean."""

    scale: float = Field(0.001, gt=0)  # times this they are metres; published maps hold millimetres


class Params(PictureSetParams):
    """Where lists and pictures are. Validation pictures are a part of the training list, by `ratio`."""

    path: PathText  # the folder of the lists
    train: PathText = "nyu_train.txt"  # from there
    test: PathText = "nyu_test.txt"
    train_folder: PathText = "."  # what names in the list start from, from `path`
    test_folder: PathText = "."
    depth: Scale = Scale()

    @model_validator(mode="after")
    def _all_rooms(self) -> "Params":
        if self.label_order is not None:
            raise ValueError("label_order: rooms are not classified here; leave it out")
        return self


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of the lists, and of the pictures and maps that they name.

    Raises:
        UserError: as `_pairs`, or a picture or map is missing.
    """
    names = [name for pairs in _pairs(params).values() for pair in pairs.items() for name in pair]
    try:
        return identity_of(Path(params.path), params.train, params.test, *names)
    except UserError as error:
        raise UserError(f"{error}, but a list names it") from None


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set: pictures of each split in a seeded order.

    Raises:
        UserError: the lists are not as described, or have fewer pictures than are asked for.
    """
    import pandas as pd

    settings = parse(Params, params)
    listed = _pairs(settings)
    shuffled = {}
    for split, pairs in listed.items():
        names = sorted(pairs)
        shuffled[split] = [names[i] for i in numpy_generator(seed, "set", "nyu", split).permutation(len(names))]
    train, val, _ = settings.ratio
    held = max(1, round(len(shuffled["train"]) * val / (train + val)))
    there = {"train": shuffled["train"][held:], "val": shuffled["train"][:held], "test": shuffled["test"]}
    kinds = sorted({_kind(name) for pairs in listed.values() for name in pairs})
    rows = []
    for number, (split, found) in enumerate(there.items()):
        wanted = settings.images[number] if settings.images else len(found)
        if not found or wanted > len(found):
            raise UserError(f"images: {wanted} in {split}, but the lists have {len(found)} there")
        rows += [(split, kinds.index(_kind(name)), _kind(name), name, 0, "") for name in found[:wanted]]
    return pd.DataFrame(rows, columns=list(COLUMNS)), []


def picture_reader(params: Params, seed: int) -> "Callable[[Any], Image]":
    """A function that reads the picture of a row."""
    return lambda row: read_photograph(Path(params.path) / row.instance)


def depth_reader(params: Params, instances: Sequence[str]) -> ReadDepth:
    """A function that reads the map of a row, in metres; NaN where it is not known.

    It raises a UserError if a map is damaged, of another size, or without a known pixel.
    """
    maps = {picture: depth for pairs in _pairs(params).values() for picture, depth in pairs.items()}
    meaning = DepthParams(path=params.path, scale=params.depth.scale)
    return lambda row, size: depth_of(Path(params.path) / maps[row.instance], meaning, size)


def _kind(picture: str) -> str:
    """`kitchen` of `sync/kitchen_0028b/rgb_00000.jpg`."""
    return re.sub(r"_\d+[a-z]*$", "", PurePosixPath(picture).parent.name)


def _pairs(params: Params) -> dict[str, dict[str, str]]:
    """For the lists of training and test, the map of each picture; both by their files from `path`.

    Raises:
        UserError: a list is missing, a line has another form, a name leads out of the folder, or one picture is listed
            twice.
    """
    found: dict[str, dict[str, str]] = {}
    lists = {"train": (params.train, params.train_folder), "test": (params.test, params.test_folder)}
    seen: dict[str, str] = {}
    for split, (name, folder) in lists.items():
        path = Path(params.path) / name
        if not path.is_file():
            raise UserError(f"{split}: no list {path}; each of its lines names a picture and its depth map")
        found[split] = {}
        for number, line in enumerate(read_text(path).split("\n"), 1):
            words = line.split()
            if not words:
                continue
            at = f"{path}, line {number}"
            if len(words) not in (2, 3):
                raise UserError(f"{at}: {line[:60]!r} is not a picture, its depth map and a focal length")
            if words[1] == _NONE:
                raise UserError(f"{at}: {words[0]} has no depth map; take the line out")
            picture, depth = (_inside(folder, word, at) for word in words[:2])
            if picture in seen:
                raise UserError(f"{at}: {picture} is already in {seen[picture]}; a picture counts once")
            seen[picture] = str(path)
            found[split][picture] = depth
        if not found[split]:
            raise UserError(f"{path}: names no picture")
    return found


def _inside(folder: str, name: str, at: str) -> str:
    """A name of a list, which may begin with a slash, from the data's folder."""
    path = os.path.normpath(os.path.join(folder, name.lstrip("/")))
    if path.startswith(".."):
        raise UserError(f"{at}: {name} leads out of the folder")
    return path
