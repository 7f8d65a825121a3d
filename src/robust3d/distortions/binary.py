"""Black-and-white images (shape-bias paper, section 3.2.2): a threshold without specks, or an outline by potrace."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robust3d.errors import UserError

Threshold = Literal["half", "otsu"]
_SPECK_PX = 2  # potrace's `turdsize`: specks of so many pixels are removed
_PROGRAMS = ("potrace", "rsvg-convert")


def thresholded(images: Tensor, threshold: Threshold = "half", speck_px: int = _SPECK_PX) -> Tensor:
    """Black and white without specks, as potrace sees an image before it draws outlines.

    Args:
        images: (N, 3, H, W) uint8.
        threshold: of the mean of the three channels; half: 127.5 (potrace's), otsu: each image's own (Otsu 1979).
        speck_px: black or white spots of so many pixels or fewer, joined along edges, take the other colour.

    Returns:
        (N, 3, H, W) uint8, 0 or 255.
    """
    sums = images.int().sum(1).cpu().numpy()
    limits = [_otsu(one) if threshold == "otsu" else 3 * 127.5 for one in sums]
    white = np.stack([without_specks(one > limit, speck_px) for one, limit in zip(sums, limits, strict=True)])
    return (torch.from_numpy(white)[:, None] * 255).to(torch.uint8).expand(-1, 3, -1, -1).to(images.device)


def _otsu(values: np.ndarray) -> float:
    """The limit between whole values that parts them with the least variance within both parts."""
    counts = np.bincount(values.ravel(), minlength=3 * 255 + 1).astype(float)
    places = np.arange(len(counts))
    below, sums = counts.cumsum(), (counts * places).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    between = np.nan_to_num(between, nan=0.0, posinf=0.0)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))  # a gap between the parts: its middle
    return float(best.mean()) + 0.5


def without_specks(white: np.ndarray, speck_px: int) -> np.ndarray:
    """(H, W) bool without spots of at most `speck_px` pixels, black ones first."""
    from scipy import ndimage

    cleaned = white.copy()
    for colour in (False, True):
        spots, _ = ndimage.label(cleaned == colour)
        small = np.bincount(spots.ravel()) <= speck_px
        small[0] = False  # all that has the other colour
        cleaned[small[spots]] = not colour
    return cleaned


def tracer_version() -> str:
    """What traces outlines, with its version.

    Raises:
        UserError: a program is not installed.
    """
    versions = []
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise UserError(
                f"black_and_white: potrace, but there is no program {program!r} here; install it (Debian: potrace, "
                "librsvg2-bin), or choose threshold"
            )
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        versions.append((said.stdout or said.stderr).strip().partition("\n")[0].rstrip("."))
    return "; ".join(versions)


def traced(images: Tensor) -> Tensor:
    """Black and white by the paper's programs at their defaults, drawn on white: potrace, then rsvg-convert.

    Args:
        images: (N, 3, H, W) uint8.

    Returns:
        (N, 3, H, W) uint8, with grey values where an outline crosses a pixel.

    Raises:
        UserError: a program failed.
    """
    with tempfile.TemporaryDirectory() as name:
        return torch.stack([_traced(image, Path(name)) for image in images.cpu()]).to(images.device)


def _traced(image: Tensor, folder: Path) -> Tensor:
    height, width = image.shape[-2:]
    bitmap, outline, picture = (folder / f"image.{ending}" for ending in ("bmp", "svg", "png"))
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(bitmap)
    _run("potrace", "--svg", str(bitmap), "-o", str(outline))
    size = "-w", str(width), "-h", str(height)
    _run("rsvg-convert", *size, "--background-color", "white", str(outline), "-o", str(picture))
    with Image.open(picture) as drawn:
        found = np.array(drawn.convert("RGB"))
    if found.shape[:2] != (height, width):
        raise UserError(f"rsvg-convert drew {found.shape[1]}x{found.shape[0]} px, not {width}x{height}")
    return torch.from_numpy(found).permute(2, 0, 1)


def _run(*command: str) -> None:
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:
        reason = (said.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"black_and_white: {command[0]} failed: {reason[:200]}")
