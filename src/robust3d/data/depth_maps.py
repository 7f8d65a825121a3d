"""Depth maps of photographs, as depth models and people write them: PNG of 16 bits, NPY, OpenEXR, PFM.

What a number means differs. ZoeDepth's PNG holds metres times 256; MiDaS writes inverse depth, without scale and shift,
as PNG of 16 bits and PFM; Depth Anything writes the same, and its metric models metres as NPY. Pictures of 8 bits are
refused: they are for the eye, stretched to their own range.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from robust3d.data.published.files import MAX_SIDE_PX, MIB, read_exr_depth, reading, regular_file
from robust3d.errors import UserError
from robust3d.params import Params as Base
from robust3d.params import PathText

SUFFIXES = (".npy", ".exr", ".pfm", ".png")  # exact ones first
ENDINGS = ("", "_depth", "-depth", "_raw_depth_meter", "_raw", "_pred")  # that tools add to a picture's name
_MODELS = ("-dpt_", "-midas_")  # MiDaS adds the name of its model
_LEAST = 2  # known pixels for scale and shift
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
    align: Literal["none", "scale", "scale_shift"] = "none"  # to reference depth, by least squares

    def is_inverse(self, path: Path) -> bool:
        """Whether the numbers of a file grow towards the camera."""
        return self.source == "midas" or (self.source == "depth_anything" and path.suffix.lower() != ".npy")

    def factor(self, path: Path) -> float:
        """What the numbers of a file are multiplied by."""
        if self.scale is not None:
            return self.scale
        return 1 / 256 if self.source == "zoedepth" and path.suffix.lower() == ".png" else 1.0


def find_map(params: DepthParams, picture: str) -> Path:
    """The depth map of a picture, which is given by its file from the pictures' folder.

    Raises:
        UserError: none, or several.
    """
    base = Path(params.path) / picture
    folder, stem = base.parent, base.stem
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of depth maps, for the picture {picture}")
    found = [folder / f"{stem}{ending}{suffix}" for ending in ENDINGS for suffix in SUFFIXES]
    there = [path for path in found if path.is_file()]
    there += [path for path in sorted(folder.glob(f"{_escaped(stem)}-*")) if _of_model(path, stem)]
    if not there:
        raise UserError(f"{folder}: no depth map {stem}{{{', '.join(SUFFIXES)}}} of the picture {picture}")
    exact = [path for path in there if path.suffix.lower() == there[0].suffix.lower()]
    if len(exact) > 1:
        raise UserError(
            f"{folder}: {exact[0].name} and {exact[1].name} may both be the depth of {picture}; move one away"
        )
    return min(there, key=lambda path: SUFFIXES.index(path.suffix.lower()))


def _escaped(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)


def _of_model(path: Path, stem: str) -> bool:
    rest = path.name.removeprefix(stem)
    return path.suffix.lower() in SUFFIXES and rest.startswith(_MODELS)


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


def aligned(values: np.ndarray, reference: np.ndarray, align: Literal["none", "scale", "scale_shift"]) -> np.ndarray:
    """Values scaled (and shifted) to be nearest to a reference, by least squares over pixels known in both.

    Args:
        values: (H, W) depth or inverse depth, NaN where unknown.
        reference: (H, W) of the same kind: for inverse depth that of the reference.
        align: how; MiDaS's own evaluation takes scale and shift, in inverse depth.

    Raises:
        UserError: too few pixels are known in both, or the values are constant there, or scaled by less than 0.
    """
    if align == "none":
        return values
    known = np.isfinite(values) & np.isfinite(reference)
    x, y = values[known].astype(np.float64), reference[known].astype(np.float64)
    if len(x) < _LEAST:
        raise UserError(
            f"align: {align} needs {_LEAST} pixels that are known in map and reference, and there are {len(x)}"
        )
    if align == "scale":
        square = float((x * x).sum())
        scale, shift = (float((x * y).sum()) / square if square else 0.0), 0.0
    else:
        middle = x - x.mean()
        square = float((middle * middle).sum())
        scale = float((middle * y).sum()) / square if square > 1e-12 * float((x * x).sum()) else 0.0
        shift = float(y.mean() - scale * x.mean())
    if scale <= 0:
        raise UserError(
            f"align: {align} finds a scale of {scale:g}: the map is flat, or grows where the reference falls"
        )
    return (scale * values.astype(np.float64) + shift).astype(np.float32)


def depth_of(path: Path, params: DepthParams, reference: np.ndarray | None = None) -> np.ndarray:
    """The depth (H, W) float32 of a map, aligned to reference depth (H, W) if asked; NaN where it is not known.

    Without a reference inverse depth is turned around as it is: right up to a scale if its shift is 0.

    Raises:
        UserError: as `read_map` and `aligned`, or there is nothing to align to; names the file.
    """
    values = read_map(path, params, None if reference is None else reference.shape)
    inverse = params.is_inverse(path)
    if params.align != "none":
        if reference is None:
            raise UserError(f"{path}: align: {params.align} needs reference depth, and there is none")
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.where(np.isfinite(reference) & (reference > 0), 1 / reference if inverse else reference, np.nan)
        with _naming(path):
            values = aligned(values, wanted, params.align)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = 1 / values if inverse else values
        found: np.ndarray = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float32)
    return found


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let a message begin with the file that it is about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


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
