"""Pictures whose alpha makes holes: what is below `Paint.CUT` is not there."""

import io

import numpy as np
from PIL import Image

from robust3d.shapes.mesh import Paint


def without_alpha(picture: bytes) -> bytes:
    """A PNG as RGB."""
    image = Image.open(io.BytesIO(picture))
    return picture if image.mode == "RGB" else _png(image.convert("RGB"))


def cut_at(picture: bytes, share: float, cutoff: float) -> bytes:
    """A PNG with holes where its alpha times `share` is below `cutoff`.

    Alpha is moved, not rounded to all or nothing, so that holes keep smooth borders between its pixels.
    """
    image = Image.open(io.BytesIO(picture))
    if (share, cutoff) == (1.0, Paint.CUT) or (image.mode == "RGB" and share >= cutoff):
        return picture
    cut = image.convert("RGBA")
    alpha = share * np.asarray(cut, np.float64)[..., 3] - 255 * cutoff
    moved = np.floor(alpha + 255 * Paint.CUT + 0.5 + 1e-6)  # 128 where alpha is the cutoff
    cut.putalpha(Image.fromarray(np.clip(moved, 0, 255).astype(np.uint8)))
    return _png(cut)


def shows_nothing(picture: bytes) -> bool:
    """Whether a PNG is one hole."""
    image = Image.open(io.BytesIO(picture))
    return image.mode == "RGBA" and bool((np.asarray(image)[..., 3] < 255 * Paint.CUT).all())


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
