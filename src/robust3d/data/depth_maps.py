"""Depth maps of photographs, as depth models and people write them: PNG of 16 bits, NPY, OpenEXR, PFM.

What a number means differs. ZoeDepth's PNG holds metres times 256; MiDaS writes inverse depth, without scale and shift,
as PNG of 16 bits and PFM; Depth Anything writes the same, and its metric models metres as NPY. Pictures of 8 bits are
refused: they are for the eye, stretched to their own range.
"""

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field, model_validator

from robust3d.data.published.files import MAX_SIDE_PX, MIB, read_exr_depth, reading, regular_file
from robust3d.errors import UserError
from robust3d.params import Params as Base
from robust3d.params import PathText

SUFFIXES = (".npy", ".exr", ".pfm", ".png")  # exact ones first
ENDINGS = ("", "_depth", "-depth", "_raw_depth_meter", "_raw", "_pred")  # that tools add to a picture's name
_MODELS = ("-dpt_", "-midas_")  # MiDaS adds the name of its model
QUANTILES = (0.02, 0.98)  # of a map, the ends of its range: single pixels may be anything
_HEADERS = 256  # bytes of a PFM's three lines at most


class DepthParams(Base):
    """A folder of depth maps beside the pictures, by the same names, and what their numbers mean."""

    path: PathText  # the folder; <class>/<name> if the pictures lie in folders of classes
    # zoedepth: metres times 256; midas: inverse depth up to scale and shift; depth_anything: the same as PNG, metres as
    # NPY; plain: depth itself.
    source: Literal["plain", "zoedepth", "midas", "depth_anything"] = "plain"
    scale: float | None = Field(
        None, gt=0
    )  # times this is depth (or its inverse); none: 1/256 of zoedepth's PNG, else 1
    # Of each map by itself, to `range`, in inverse depth where the file holds that. scale: the median becomes the
    # middle; scale_shift: the 2 % and 98 % quantiles become the ends, and what is beyond is cut.
    align: Literal["none", "scale", "scale_shift"] = "none"
    range: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (1.0, 3.0)  # near, far

    @model_validator(mode="after")
    def _ascending(self) -> "DepthParams":
        if self.range[0] >= self.range[1]:
            raise ValueError(f"range: {list(self.range)} is not near and far; the second has to be larger")
        return self

    def is_inverse(self, path: Path) -> bool:
        """Whether the numbers of a file grow towards the camera."""
        return self.source == "midas" or (self.source == "depth_anything" and path.suffix.lower() != ".npy")

    def factor(self, path: Path) -> float:
        """What the numbers of a file are multiplied by."""
        if self.scale is not None:
            return self.scale
        return 1 / 256 if self.source == "zoedepth" and path.suffix.lower() == ".png" else 1.0


def find_maps(params: DepthParams, pictures: Iterable[str]) -> dict[str, Path]:
    """The depth map of each picture, which are given by their files from the pictures' folder.

    Raises:
        UserError: a picture has none, or several, or two pictures have one.
    """

    @functools.cache
    def there(folder: Path) -> dict[str, list[Path]]:
        """The maps of a folder by the stem of their picture; it is listed once."""
        if not folder.is_dir():
            raise UserError(f"depth.path: no folder {folder} of depth maps; it has to hold those of {picture}")
        found: dict[str, list[Path]] = {}
        for name in sorted(os.listdir(folder)):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in SUFFIXES:
                for one in _stems(stem):
                    found.setdefault(one, []).append(folder / name)
        return found

    maps: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    for picture in pictures:
        base = Path(params.path) / picture
        found = there(base.parent).get(base.stem, [])
        if not found:
            raise UserError(
                f"{base.parent}: no depth map {base.stem}{{{', '.join(SUFFIXES)}}} of the picture {picture}"
            )
        first = min(SUFFIXES.index(path.suffix.lower()) for path in found)
        exact = [path for path in found if path.suffix.lower() == SUFFIXES[first]]
        if len(exact) > 1:
            raise UserError(
                f"{base.parent}: {exact[0].name} and {exact[1].name} may both be the depth of {picture}; move one away"
            )
        if (other := owners.setdefault(exact[0], picture)) != picture:
            raise UserError(f"{exact[0]}: may be the depth of {other} or of {picture}; give one picture another name")
        maps[picture] = exact[0]
    return maps


def _stems(stem: str) -> set[str]:
    """The names of pictures that a depth map's name, without its suffix, may be made of."""
    return {stem.removesuffix(ending) for ending in ENDINGS} | {stem.partition(model)[0] for model in _MODELS}


def read_map(path: Path, params: DepthParams, size: tuple[int, ...] | None = None) -> np.ndarray:
    """Depth, or inverse depth where `params.is_inverse`, float32 (H, W); NaN where it is not known.

    Args:
        path: of the map.
        params: what its numbers mean.
        size: (H, W) of the picture; None: not compared.

    Raises:
        UserError: missing, damaged, of 8 bits, of another size, or without a known pixel; names the file.
    """
    suffix = path.suffix.lower()
    readers = {".png": _read_png, ".npy": _read_npy, ".exr": read_exr_depth, ".pfm": _read_pfm}
    if suffix not in readers:
        raise UserError(f"{path}: not one of {', '.join(SUFFIXES)}")
    values = np.asarray(readers[suffix](path), np.float64)
    if size is not None and values.shape != tuple(size):
        raise UserError(
            f"{path}: {values.shape[1]}x{values.shape[0]} px, but its picture has {size[1]}x{size[0]}; write depth at "
            "the size of the picture"
        )
    # Inverse depth of 0 is infinitely far away, which MiDaS's own range always holds; it is known.
    inverse = params.is_inverse(path)
    known = np.isfinite(values) & ((values >= 0) if inverse else (values > 0))
    if not known.any():
        what = "NaN, infinite or not above 0"
        raise UserError(f"{path}: not one pixel with a known depth: all are {what}; write it again, or leave it out")
    if inverse and not (values[known] > 0).any():
        raise UserError(f"{path}: inverse depth is 0 all over; write it again, or leave it out")
    return np.where(known, values * params.factor(path), np.nan).astype(np.float32)


def depth_of(path: Path, params: DepthParams, size: tuple[int, ...] | None = None) -> np.ndarray:
    """The depth (H, W) float32 of a map, aligned if asked; NaN where it is not known.

    Inverse depth that is not aligned is turned around as it is: right up to a scale if its shift is 0.

    Args:
        path: of the map.
        params: what its numbers mean.
        size: (H, W) of the picture; None: not compared.

    Raises:
        UserError: as `read_map`, or the map is flat; names the file.
    """
    values, inverse = read_map(path, params, size).astype(np.float64), params.is_inverse(path)
    near, far = params.range
    ends = (1 / far, 1 / near) if inverse else (near, far)
    if params.align == "scale":
        values *= sum(ends) / 2 / max(float(np.nanmedian(values)), 1e-30)
    elif params.align == "scale_shift":
        low, high = np.nanquantile(values, QUANTILES)
        if not high > low:
            raise UserError(
                f"{path}: flat, which no shift brings to depth.range; use depth.align: scale, or leave it out"
            )
        values = (ends[0] + (values - low) * (ends[1] - ends[0]) / (high - low)).clip(*ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = 1 / values if inverse else values
        found: np.ndarray = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float32)
    return found


def _read_png(path: Path) -> np.ndarray:
    """One channel of 16 bits; 0: not known."""
    regular_file(path, max(MIB, 5 * MAX_SIDE_PX**2), "a PNG depth map")
    with reading(path, "a damaged PNG picture"):
        with Image.open(path, formats=("PNG",)) as image:
            image.verify()
        with Image.open(path, formats=("PNG",)) as image:
            if max(image.size) > MAX_SIDE_PX:
                raise UserError(
                    f"{path}: claims {image.size[0]}x{image.size[1]} px; at most {MAX_SIDE_PX} a side are read"
                )
            if not image.mode.startswith("I"):
                raise UserError(
                    f"{path}: {image.mode} of 8 bits is a picture for the eye, not depth; write one channel of "
                    "16 bits, or NPY"
                )
            return np.array(image, np.float64)


def _read_npy(path: Path) -> np.ndarray:
    """One array of numbers (H, W), or with one further side of 1."""
    regular_file(path, 8 * MAX_SIDE_PX**2 + MIB, "an NPY depth map")
    with reading(path, "not a readable NPY file"):
        values = np.load(path, allow_pickle=False)
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "fui":
            raise UserError(f"{path}: not an array of numbers")
        if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
            values = values.squeeze(0 if values.shape[0] == 1 else 2)
        if values.ndim != 2 or not all(values.shape):
            raise UserError(f"{path}: an array of shape {values.shape}; a depth map is (H, W)")
        return values


def _read_pfm(path: Path) -> np.ndarray:
    """One channel of a portable float map; its rows are stored from the bottom up."""
    regular_file(path, 4 * MAX_SIDE_PX**2 + MIB, "a PFM depth map")
    with reading(path, "not a readable PFM file"):
        content = path.read_bytes()
        kind, size, scale = content[:_HEADERS].split(b"\n", 3)[:3]
        if kind.strip() != b"Pf":
            raise UserError(f"{path}: not a PFM file of one channel")
        width, height = (int(part) for part in size.split())
        start = len(kind) + len(size) + len(scale) + 3
        if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX) or len(content) - start != 4 * width * height:
            raise UserError(f"{path}: claims {width}x{height} px, but holds {(len(content) - start) // 4} numbers")
        values = np.frombuffer(content, "<f4" if float(scale) < 0 else ">f4", offset=start)
        return values.reshape(height, width)[::-1]
