"""Fractals whose categories are searched for here, as FractalDB's were; needs no file."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from robust3d.data.packed import open_images
from robust3d.fractals.ifs import System, search
from robust3d.fractals.instances import FractalParams, drawer, instance_ids

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Params", "list_pictures", "open_images", "picture_reader"]


class Params(FractalParams):
    """How many categories, and what is accepted."""

    categories: int = Field(ge=2, le=100_000)
    fill: float = Field(0.2, gt=0, lt=1)  # share of pixels that a category's picture has to fill


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """Class names, and the class and id of all pictures; category k is the same for any number of categories."""
    import pandas as pd

    classes = tuple(f"{number:05d}" for number in range(params.categories))
    rows = [
        ("any", name, instance)
        for name in classes
        for instance in instance_ids(search(seed, int(name), params.fill), name, params)
    ]
    return classes, pd.DataFrame(rows, columns=["split", "class_name", "instance"])


def picture_reader(params: Params, seed: int) -> Callable[[Any], Any]:
    """A function that draws the picture of a row."""

    @lru_cache(maxsize=64)
    def system_of(name: str) -> System:
        return search(seed, int(name), params.fill)

    return drawer(system_of, params, seed)
