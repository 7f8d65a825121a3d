"""Handwritten digits that come with the project: 1,797 pictures of 8 x 8 pixels, those of scikit-learn's `load_digits`.

They are the test part of E. Alpaydin and C. Kaynak's "Optical Recognition of Handwritten Digits" (UCI Machine Learning
Repository 1998, doi 10.24432/C50P49, CC BY 4.0), by 13 writers. A pixel counts the black ones of 4 x 4 scanned pixels.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robust3d.data.packed import open_images
from robust3d.data.params import PictureSetParams
from robust3d.errors import UserError
from robust3d.files import sha256

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Params", "list_pictures", "open_images", "picture_reader"]
FILE = Path(__file__).with_name("digits.csv.gz")  # a row for each picture: 64 pixels of 0 to 16, and the digit
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"  # part of the code, so of every spec


class Params(PictureSetParams):
    """Nothing of its own."""


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """The ten digits, and the digit and id of each picture."""
    import pandas as pd

    digits = _table()[:, -1]
    rows = [("any", str(digit), f"{number:04d}") for number, digit in enumerate(digits)]
    return tuple("0123456789"), pd.DataFrame(rows, columns=["split", "class_name", "instance"])


def picture_reader(params: Params, seed: int) -> Callable[[Any], npt.NDArray[np.uint8]]:
    """A function that returns the picture of a row (8, 8): black on white, as the characters are."""
    counts = _table()[:, :-1].reshape(-1, 8, 8)
    pictures = (255 - np.rint(counts * (255 / 16))).astype(np.uint8)
    return lambda row: pictures[int(row.instance)]


def _table() -> npt.NDArray[np.int64]:
    if sha256(FILE) != SHA256:
        raise UserError(f"{FILE}: not the file of digits that belongs to this code; check it out again")
    with gzip.open(FILE, "rt") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.int64)
