"""Sheets of small images, as PNG: reconstructions beside their targets, galleries, examples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from robust3d.errors import UserError

_GAP_PX = 4
_TEXT_PX = 14  # one size for all words of a sheet, larger beside large images
_IMAGE_TO_TEXT = 13


def sheet(
    rows: Sequence[Sequence[np.ndarray]],
    cell_px: int = 96,
    row_labels: Sequence[str] = (),
    cell_labels: Sequence[Sequence[str]] = (),
    note: str = "",
) -> Image.Image:
    """Images in rows on white, each enlarged by an integer factor without smoothing.

    Args:
        rows: uint8 (H, W, 3) square images; rows may differ in length.
        cell_px: smallest side of an enlarged image; cells grow where a label needs more room.
        row_labels: words left of each row; a label may have several lines.
        cell_labels: words below each image, likewise.
        note: text below all.
    """
    words = [label for row in cell_labels for label in row]
    cell = max(-(-cell_px // image.shape[0]) * image.shape[0] for row in rows for image in row)
    font = _font(max(_TEXT_PX, cell // _IMAGE_TO_TEXT))
    line = sum(font.getmetrics())
    column = max(cell, *(_width(font, label) for label in words)) if words else cell
    left = max((_width(font, label) + 16 for label in row_labels), default=10)
    below = line * max((label.count("\n") + 1 for label in words), default=0)
    pitch = cell + below + _GAP_PX
    width = left + max(len(row) for row in rows) * (column + _GAP_PX) + _GAP_PX
    height = len(rows) * pitch + 2 * _GAP_PX
    width = max(width, _width(font, note) + 16)
    canvas = Image.new("RGB", (width, height + (note.count("\n") + 1) * line * bool(note)), "white")
    draw = ImageDraw.Draw(canvas)
    for i, row in enumerate(rows):
        top = _GAP_PX + i * pitch
        if row_labels:
            draw.text((6, top + cell // 2), row_labels[i], "black", font, anchor="lm")
        for j, image in enumerate(row):
            middle = left + j * (column + _GAP_PX) + column // 2
            enlarged = Image.fromarray(image).resize((cell, cell), Image.Resampling.NEAREST)
            canvas.paste(enlarged, (middle - cell // 2, top))
            if cell_labels:
                _centred(draw, (middle, top + cell), cell_labels[i][j], font)
    if note:
        for k, text in enumerate(note.split("\n")):
            draw.text((6, height + k * line - 2), text, "black", font)
    return canvas


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise UserError("Pillow was built without FreeType and cannot write labels: install its wheel")
    return font


def _width(font: ImageFont.FreeTypeFont, text: str) -> int:
    """Of the longest line, in pixels."""
    return max(int(np.ceil(font.getlength(line))) for line in text.split("\n"))


def _centred(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, font: ImageFont.FreeTypeFont) -> None:
    """Lines below each other, each in the middle."""
    for k, words in enumerate(text.split("\n")):
        draw.text((at[0] - _width(font, words) // 2, at[1] + 1 + k * sum(font.getmetrics())), words, "black", font)


def draw_pairs(truth: np.ndarray, ours: np.ndarray, path: Path) -> None:
    """Write a PNG with the targets in the first row and the reconstructions below them.

    Args:
        truth: uint8 (n, H, W, 3).
        ours: the same shape.
        path: of the PNG.
    """
    sheet([list(truth), list(ours)], row_labels=("truth", "output")).save(path, "PNG")
