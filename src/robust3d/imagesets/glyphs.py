"""Characters made here that stand in for Omniglot: each class is a few pen strokes, each picture one way to write them.

A stroke is a quadratic curve through three random points. A picture shifts these points a little, turns, scales and
shears the whole, and draws it in black on white, as Omniglot's pictures are. Needs no file.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from robust3d.data.packed import open_images
from robust3d.data.params import PictureSetParams
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Params", "list_pictures", "open_images", "picture_reader"]
_MOST_STROKES = 4
_FINER = 4  # pictures are drawn so many times larger, and scaled down
_PLACES = 24  # points on a stroke
Points = npt.NDArray[np.float64]


class Params(PictureSetParams):
    """How many, and how differently each is written."""

    characters: int = Field(20, ge=2)  # classes
    writers: int = Field(20, ge=1)  # pictures of each (Omniglot: 20)
    wobble: float = Field(0.06, ge=0)  # standard deviation of a point's shift, in sides of the picture
    turn_deg: float = Field(10.0, ge=0)  # standard deviation of the whole's turn


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """Class names, and the class and id of all pictures; character k is the same for any number of characters."""
    import pandas as pd

    classes = tuple(f"character{number:04d}" for number in range(params.characters))
    rows = [("any", name, f"{name}-{writer:03d}") for name in classes for writer in range(params.writers)]
    return classes, pd.DataFrame(rows, columns=["split", "class_name", "instance"])


def picture_reader(params: Params, seed: int) -> Callable[[Any], Any]:
    """A function that draws the picture of a row, (S, S) uint8, from seed, class and id alone."""

    @lru_cache(maxsize=256)
    def strokes(name: str) -> Points:
        generator = numpy_generator(seed, "character", name)
        count = int(generator.integers(1, _MOST_STROKES + 1))
        return generator.uniform(0.15, 0.85, (count, 3, 2))

    def read(row: Any) -> npt.NDArray[np.uint8]:
        generator = numpy_generator(seed, "writer", row.instance)
        written = strokes(row.class_name) + params.wobble * generator.standard_normal(strokes(row.class_name).shape)
        angle = np.deg2rad(params.turn_deg) * generator.standard_normal()
        shear, scale = 0.1 * generator.standard_normal(), np.exp(0.1 * generator.standard_normal())
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        written = (written - 0.5) @ (scale * turn @ np.array([[1, shear], [0, 1]])).T + 0.5
        return _drawn(written, params.resolution_px)

    return read


def _drawn(strokes: Points, side: int) -> npt.NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    large = side * _FINER
    image = Image.new("L", (large, large), 255)
    pen, width = ImageDraw.Draw(image), max(1, round(large / 20))
    t = np.linspace(0, 1, _PLACES)[:, None]
    for first, bend, last in strokes:
        curve = (1 - t) ** 2 * first + 2 * t * (1 - t) * bend + t**2 * last
        points = [(float(x), float(y)) for x, y in curve * large]
        pen.line(points, fill=0, width=width, joint="curve")
        for x, y in (points[0], points[-1]):  # round ends
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX), np.uint8)
