"""Omniglot from disk, in torchvision's folders: `omniglot-py/<part>/<alphabet>/<character>/<number>_<drawer>.png`.

torchvision reads the two large parts only, and compares their archives with published checksums; this reader takes any
of the published parts, also the small ones. A class is a character of an alphabet.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from robust3d.data.packed import open_images
from robust3d.data.params import PictureSetParams
from robust3d.data.published.files import read_photograph
from robust3d.data.published.identity import identity_of
from robust3d.data.published.inventory import listing
from robust3d.errors import UserError
from robust3d.params import PathText, distinct

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

__all__ = ["Params", "identity", "list_pictures", "open_images", "picture_reader"]
FOLDER = "omniglot-py"  # torchvision's
_SOURCE = "https://github.com/brendenlake/omniglot/tree/master/python"


class Params(PictureSetParams):
    """Where the folders are, and which are read."""

    path: PathText  # the folder that has omniglot-py in it (torchvision's `root`), or the parts themselves
    # images_background and images_evaluation together are the 1,623 characters; images_background_small1 and _small2
    # have five alphabets each. `label_order` chooses characters: twenty of them and one label are 20-way 1-shot.
    archives: Annotated[tuple[str, ...], Field(min_length=1)] = ("images_background", "images_evaluation")

    _archives = field_validator("archives")(distinct)


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of the pictures.

    Raises:
        UserError: a part is missing.
    """
    root = _root(params)
    return identity_of(root, *params.archives)


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """Class names, `<alphabet>/<character>`, and for each picture its class and its file from the root.

    Raises:
        UserError: a part is missing, has no picture, or has an alphabet that another part has too.
    """
    import pandas as pd

    root = _root(params)
    rows: list[tuple[str, str, str]] = []
    part_of: dict[str, str] = {}
    for part in params.archives:
        for alphabet in _folders(root / part):
            if part_of.setdefault(alphabet, part) != part:
                raise UserError(f"archives: {alphabet} is in {part_of[alphabet]} and in {part}; leave one of them out")
            for character in _folders(root / part / alphabet):
                folder = root / part / alphabet / character
                files = sorted(entry.name for entry in listing(folder) if entry.name.lower().endswith(".png"))
                if not files:
                    raise UserError(f"{folder}: no picture (.png) in it; unpack {part}.zip again")
                rows += [("any", f"{alphabet}/{character}", f"{part}/{alphabet}/{character}/{file}") for file in files]
    frame = pd.DataFrame(rows, columns=["split", "class_name", "instance"])
    return tuple(sorted(set(frame["class_name"]))), frame


def picture_reader(params: Params, seed: int) -> "Callable[[Any], Image]":
    """A function that reads the picture of a row."""
    root = _root(params)
    return lambda row: read_photograph(root / row.instance)


def _root(params: Params) -> Path:
    given = Path(params.path)
    root = given / FOLDER if (given / FOLDER).is_dir() else given
    for part in params.archives:
        if not (root / part).is_dir():
            raise UserError(f"path: no folder {part} in {root}; unpack {part}.zip there (from {_SOURCE})")
    return root


def _folders(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in listing(folder) if entry.is_dir())
    if not names:
        raise UserError(f"{folder}: no folder in it; it has to hold <alphabet>/<character>/<picture>.png")
    return names
