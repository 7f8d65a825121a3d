"""Pictures of volumes: filled voxels as cubes, seen from above at an angle, nearer ones painted over farther ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from robust3d.data.pictures import sheet

U8 = NDArray[np.uint8]
_COLOURS = {"observed": (86, 139, 196), "generated": (222, 148, 72), "neighbour": (120, 170, 110)}
_SHADES = (1.0, 0.80, 0.58)  # of the top, the right and the left face
_DEPTH_SHADE = 0.35  # how much darker the farthest voxel is
_OVERSAMPLING = 2
_WIDE, _HIGH = np.cos(np.pi / 6), 0.5  # isometric


def draw_volume(volume: NDArray[np.generic], size_px: int = 160, colour: str = "observed") -> U8:
    """One volume as a picture on white.

    Args:
        volume: (R, R, R), y up, filled above 0.5. Seen from +x, +y and +z.
        size_px: side of the picture.
        colour: "observed", "generated" or "neighbour".

    Returns:
        (size_px, size_px, 3) uint8; white where the volume is empty.
    """
    filled = np.asarray(volume, np.float64) > 0.5
    side, canvas_px = filled.shape[0], size_px * _OVERSAMPLING
    scale = canvas_px / (2 * side * max(_WIDE, 1.0)) * 0.95
    image = Image.new("RGB", (canvas_px, canvas_px), "white")
    drawing = ImageDraw.Draw(image)

    def place(x: float, y: float, z: float) -> tuple[float, float]:
        half = side / 2
        return (canvas_px / 2 + (x - z) * _WIDE * scale,
                canvas_px / 2 + ((x - half + z - half) * _HIGH - (y - half)) * scale)  # fmt: skip

    padded = np.pad(filled, ((0, 1),) * 3)
    hidden = padded[1:, :-1, :-1] & padded[:-1, 1:, :-1] & padded[:-1, :-1, 1:]  # all three faces are covered
    places = np.argwhere(filled & ~hidden)
    for x, y, z in places[np.argsort(places.sum(1), kind="stable")].tolist():
        light = 1 - _DEPTH_SHADE * (1 - (x + y + z) / max(3 * (side - 1), 1))
        a, b, c = (x, x + 1), (y, y + 1), (z, z + 1)
        faces = (
            (padded[x, y + 1, z], [(a[0], b[1], c[0]), (a[1], b[1], c[0]), (a[1], b[1], c[1]), (a[0], b[1], c[1])]),
            (padded[x + 1, y, z], [(a[1], b[0], c[0]), (a[1], b[1], c[0]), (a[1], b[1], c[1]), (a[1], b[0], c[1])]),
            (padded[x, y, z + 1], [(a[0], b[0], c[1]), (a[0], b[1], c[1]), (a[1], b[1], c[1]), (a[1], b[0], c[1])]),
        )
        for (covered, corners), shade in zip(faces, _SHADES, strict=True):
            if not covered:
                fill = _tint(colour, shade * light)
                edge = _tint(colour, 0.75 * shade * light)
                drawing.polygon([place(*corner) for corner in corners], fill=fill, outline=edge)
    return np.array(image.resize((size_px, size_px), Image.Resampling.LANCZOS))


def _tint(colour: str, light: float) -> tuple[int, int, int]:
    red, green, blue = (round(light * channel) for channel in _COLOURS[colour])
    return red, green, blue


def voxel_sheet(
    rows: Sequence[tuple[str, str, Sequence[NDArray[np.generic]]]],
    size_px: int = 160,
    cell_labels: Sequence[Sequence[str]] = (),
    note: str = "",
) -> Image.Image:
    """Rows of volumes as one picture.

    Args:
        rows: of each the label, the colour (see `draw_volume`), and volumes (R, R, R); all rows of the same number.
        size_px: side of each volume's picture.
        cell_labels: of each row, below its pictures; empty: none.
        note: below the sheet.
    """
    pictures = [[draw_volume(volume, size_px, colour) for volume in volumes] for _, colour, volumes in rows]
    return sheet(pictures, row_labels=[label for label, _, _ in rows], cell_labels=cell_labels, note=note)
