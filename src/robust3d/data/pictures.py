"""Sheets of small images, as PNG: reconstructions beside their targets, galleries, examples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP_PX = 4
_TEXT_PX = 13


def sheet(
    rows: Sequence[Sequence[np.ndarray]],
    cell_px: int = 96,
    row_labels: Sequence[str] = (),
    cell_labels: Sequence[Sequence[str]] = (),
) -> Image.Image:
    """Images in rows on white, each enlarged by an integer factor without smoothing.

    Args:
        rows: uint8 (H, W, 3) square images; rows may differ in length.
        cell_px: smallest side of an enlarged image.
        row_labels: a word left of each row.
        cell_labels: a word below each image.
    """
    cell = max(-(-cell_px // image.shape[0]) * image.shape[0] for row in rows for image in row)
    left = 10 + max((7 * len(label) for label in row_labels), default=0)
    pitch = cell + _GAP_PX + (_TEXT_PX + 2 if cell_labels else 0)
    width = left + max(len(row) for row in rows) * (cell + _GAP_PX) + _GAP_PX
    canvas = Image.new("RGB", (width, len(rows) * pitch + 2 * _GAP_PX), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_TEXT_PX)
    for i, row in enumerate(rows):
        top = _GAP_PX + i * pitch
        if row_labels:
            draw.text((6, top + cell // 2 - 7), row_labels[i], "black", font)
        for j, image in enumerate(row):
            at = left + j * (cell + _GAP_PX), top
            canvas.paste(Image.fromarray(image).resize((cell, cell), Image.Resampling.NEAREST), at)
            if cell_labels:
                draw.text((at[0], top + cell + 1), cell_labels[i][j], "black", _fitting(cell_labels[i][j], cell))
    return canvas


def _fitting(text: str, width: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The largest font in which labels do not overlap; the smallest if there is none."""
    fonts = [ImageFont.load_default(size) for size in range(_TEXT_PX, 7, -1)]
    return next((font for font in fonts if font.getlength(text) <= width), fonts[-1])


def draw_pairs(truth: np.ndarray, ours: np.ndarray, path: Path) -> None:
    """Write a PNG with the targets in the first row and the reconstructions below them.

    Args:
        truth: uint8 (n, H, W, 3).
        ours: the same shape.
        path: of the PNG.
    """
    sheet([list(truth), list(ours)], row_labels=("truth", "ours")).save(path, "PNG")
