"""Pictures of frost, made by code: ferns of ice over clouded glass. They stand in for ImageNet-C's photographs."""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from robust3d.distortions.fields import beyond, plasma
from robust3d.seeds import numpy_generator

PICTURES = 5  # as many as the published code draws from
SIDE_PX = 512
_DARK, _BRIGHT = np.array([0.10, 0.16, 0.24]), np.array([0.90, 0.96, 1.0])
_MEAN = 0.55  # of all values of a picture


@functools.lru_cache(maxsize=PICTURES)
def picture(number: int) -> np.ndarray:
    """Picture `number`, (512, 512, 3) uint8; each has its own density and size of ferns."""
    rng = numpy_generator("frost", number)
    noise = torch.from_numpy(rng.uniform(-1, 1, (1, SIDE_PX, SIDE_PX)).astype(np.float32))
    clouds = plasma(noise, 1.5)[0].numpy()
    canvas = Image.new("L", (SIDE_PX, SIDE_PX))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(35, 70))):
        start, angle, length = rng.uniform(0, SIDE_PX, 2), rng.uniform(0, 2 * math.pi), rng.uniform(60, 300)
        _fern(pen, start, angle, length, int(rng.integers(110, 256)), 3, rng)
    sharp = np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.8)), float) / 255
    soft = np.asarray(canvas.filter(ImageFilter.GaussianBlur(8)), float) / 255
    ice = 0.45 * clouds + 0.55 * sharp + 0.6 * soft
    ice = np.clip(ice + rng.normal(0, 0.03, ice.shape), 0, None)
    ice = ice / np.quantile(ice, 0.995)
    ice = np.clip(ice, 0, 1) ** (math.log(_MEAN) / math.log(np.clip(ice, 0, 1).mean()))
    return (255 * (_DARK + (_BRIGHT - _DARK) * ice[..., None])).round().astype(np.uint8)


def _fern(
    pen: ImageDraw.ImageDraw,
    start: np.ndarray,
    angle: float,
    length: float,
    grey: int,
    depth: int,
    rng: np.random.Generator,
) -> None:
    """A stem with branches on both sides, at 60 degrees as in ice, that get shorter towards its tip."""
    end = start + length * np.array([math.cos(angle), math.sin(angle)])
    pen.line([*start.tolist(), *end.tolist()], fill=grey, width=depth)
    if depth == 1:
        return
    for share in np.arange(0.1, 1.0, 0.08 if depth == 3 else 0.2):
        root = start + share * (end - start)
        for side in (-1, 1):
            branch = 0.45 * length * (1 - share) * rng.uniform(0.6, 1.2)
            _fern(pen, root, angle + side * math.pi / 3, branch, int(grey * 0.85), depth - 1, rng)


@functools.lru_cache(maxsize=PICTURES * 2)
def _scaled(number: int, scale: float) -> Tensor:
    """A picture (3, S, S) in [0, 1], scaled down."""
    side = round(SIDE_PX * scale)
    small = Image.fromarray(picture(number)).resize((side, side), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255


def crop(number: int, scale: float, size: Sequence[int], corner: Sequence[float]) -> Tensor:
    """A part (3, H, W) of a picture at a scale; where it is too small, it goes on mirrored.

    Args:
        number: of the picture, below `PICTURES`.
        scale: of the picture's pixels.
        size: H and W.
        corner: where the part begins, each in [0, 1) of the possible places.
    """
    found = _scaled(number, scale)
    for axis, (side, share) in enumerate(zip(size, corner, strict=True), 1):
        have = found.shape[axis]
        first = int(share * max(have - side, 1))
        index = beyond(have, 0, max(first + side - have, 0), "symmetric")[first : first + side]
        found = found.index_select(axis, torch.from_numpy(index))
    return found
