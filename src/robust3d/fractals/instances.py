"""The pictures of a category: 25 variants of its maps, ten patterns of patches, four flips (FractalDB: 1,000)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from robust3d.data.params import PictureSetParams
from robust3d.fractals.drawing import PAD_PX, draw_patches, draw_points
from robust3d.fractals.ifs import FACTORS, System
from robust3d.seeds import numpy_generator

VARIANTS = 1 + 6 * len(FACTORS)


class FractalParams(PictureSetParams):
    """How pictures of a category differ; the defaults are those of the released code (its script `exe.sh`)."""

    fit: Literal["exact", "crop", "stretch"] = "exact"
    variants: int = Field(VARIANTS, ge=1, le=VARIANTS)  # of the maps
    step: float = Field(0.4, gt=0, le=0.5)  # of the factors 1 +- k, 1 +- 2k (weights_0.4.csv)
    patterns: int = Field(10, ge=1)  # of patches, for each variant
    flips: int = Field(4, ge=1, le=4)  # none, left-right, upside down, both
    patch: Literal["point", "image", "none"] = "point"  # point: a pattern for each point, as released; image: one a
    # picture, as the paper says; none: single pixels
    sequence: Literal["shared", "own"] = "shared"  # shared: all patterns of a variant show the same points, as released
    points: int = Field(200_000, ge=100)  # of a picture
    draw_px: int | None = Field(None, ge=2 * PAD_PX + 8)  # side that is drawn, scaled by `fit`; none: resolution_px


def instance_ids(system: System, name: str, params: FractalParams) -> list[str]:
    """Ids of all pictures of a category: variant, pattern, flip; `own` where a variant runs away to infinity.

    Such a variant shows the category itself instead, with a sequence of points of its own.
    """
    found = []
    for variant in range(params.variants):
        runs_away = variant > 0 and system.weighted(variant, params.step).exponent() >= 0
        shown = f"v{variant:02d}" + ("own" if runs_away else "")
        found += [f"{name}-{shown}-p{p}-f{flip}" for p in range(params.patterns) for flip in range(params.flips)]
    return found


def drawer(
    system_of: Callable[[str], System], params: FractalParams, seed: int
) -> Callable[[Any], npt.NDArray[np.uint8]]:
    """A function that draws the picture of a row, (S, S) uint8, from seed, category and instance alone."""
    side = params.draw_px or params.resolution_px

    @lru_cache(maxsize=4)
    def points(name: str, shown: str, sequence: str) -> npt.NDArray[np.float64]:
        variant = 0 if shown.endswith("own") else int(shown[1:])
        system = system_of(name).weighted(variant, params.step)
        return system.points(params.points, numpy_generator(seed, "points", name, shown, sequence))

    @lru_cache(maxsize=4)
    def unflipped(name: str, shown: str, pattern: str) -> npt.NDArray[np.uint8]:
        cloud = points(name, shown, pattern if params.sequence == "own" else "")
        if params.patch == "none":
            return draw_points(cloud, side)
        generator = numpy_generator(seed, "patches", name, shown, pattern)
        return draw_patches(cloud, side, generator, params.patch == "point")

    def read(row: Any) -> npt.NDArray[np.uint8]:
        name, shown, pattern, flip = row.instance.rsplit("-", 3)
        picture = unflipped(name, shown, pattern)
        number = int(flip[1:])
        picture = picture[:, ::-1] if number & 1 else picture
        return np.ascontiguousarray(picture[::-1] if number & 2 else picture)

    return read
