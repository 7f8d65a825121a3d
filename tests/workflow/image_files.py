"""Small pictures on disk for tests of image sets."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def colours(number: int, side: int = 12) -> np.ndarray:
    """A picture (side, side, 3) like no other."""
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **more)
    return path
