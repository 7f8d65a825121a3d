"""FractalDB from its published category files, one of each category (`00000.csv`), in a folder and folders below it.

A line is a map: a, b, c, d, e, f, probability. The archive `csv_rate0.2_category1000.zip` has 1,000 of them.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.data.packed import open_images
from robust3d.data.published.inventory import is_ours
from robust3d.errors import UserError
from robust3d.fractals.ifs import System
from robust3d.fractals.instances import FractalParams, drawer, instance_ids
from robust3d.params import PathText

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Params", "identity", "list_pictures", "open_images", "picture_reader"]
_LARGEST = 1 << 20


class Params(FractalParams):
    """Where the files are; `label_order` chooses categories by name."""

    path: PathText  # the folder


def read_system(path: Path) -> System:
    """The maps of one category.

    Raises:
        UserError: missing, not such a file, without a map, or with values that are not finite.
    """
    import numpy as np

    from robust3d.data.published.text import read_text

    lines = [line.split(",") for line in read_text(path, _LARGEST).splitlines() if line.strip()]
    if bad := [number for number, line in enumerate(lines) if len(line) != 7]:
        raise UserError(f"{path}: line {bad[0] + 1} has not seven values: a, b, c, d, e, f, probability")
    try:
        values = np.array(lines, np.float64).reshape(-1, 7)
    except ValueError as error:
        raise UserError(f"{path}: a value is not a number ({str(error)[:80]}); unpack the file again") from None
    return System.of(values[:, :6], values[:, 6], str(path))


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of the files.

    Raises:
        UserError: there are none.
    """
    from robust3d.data.published.identity import identity_of

    files = _files(params)
    return identity_of(Path(params.path), *sorted(str(path.relative_to(params.path)) for path in files.values()))


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """Class names, which are those of the files, and the class and id of all pictures."""
    import pandas as pd

    files = _files(params)
    wanted = [name for name in files if params.label_order is None or name in params.label_order]
    rows = [
        ("any", name, instance) for name in wanted for instance in instance_ids(read_system(files[name]), name, params)
    ]
    return tuple(files), pd.DataFrame(rows, columns=["split", "class_name", "instance"])


def picture_reader(params: Params, seed: int) -> Callable[[Any], Any]:
    """A function that draws the picture of a row."""
    files = _files(params)

    @lru_cache(maxsize=64)
    def system_of(name: str) -> System:
        return read_system(files[name])

    return drawer(system_of, params, seed)


def _files(params: Params) -> dict[str, Path]:
    """The files of the categories, by name."""
    root = Path(params.path)
    if not root.is_dir():
        raise UserError(f"path: no folder {root}; unpack FractalDB's csv_rate0.2_category1000 there")
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*.csv")):
        if not all(map(is_ours, path.relative_to(root).parts)):
            continue
        if found.setdefault(path.stem, path) != path:
            raise UserError(f"{path}: a second category {path.stem}, beside {found[path.stem]}; move one away")
    if not found:
        raise UserError(f"{root}: no category file (00000.csv, …) in it; unpack csv_rate0.2_category1000 there")
    return found
