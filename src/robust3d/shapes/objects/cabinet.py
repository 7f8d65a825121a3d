"""Cabinets: wardrobe, chest of drawers, shelves, sideboard. The doors look along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, disc

Generator = np.random.Generator


def wardrobe(rng: Generator, colours: Colours) -> Assembly:
    """Tall, two doors with handles, a cornice and a plinth."""
    cabinet, w, h, d = Assembly(), rng.uniform(0.8, 1.1), rng.uniform(1.5, 1.9), rng.uniform(0.45, 0.6)
    cabinet.add(box((w, h, d), (0, h / 2, 0)), colours.body)
    cabinet.add(box((w + 0.1, 0.07, d + 0.1), (0, h, 0)), colours.second)
    cabinet.add(box((w + 0.06, 0.1, d + 0.06), (0, 0.05, 0)), colours.second)
    _doors(cabinet, colours, w, 0.14, h - 0.08, d / 2, 2)
    _panels(cabinet, colours, w, d, 0.1, h - 0.04)
    return cabinet


def drawers(rng: Generator, colours: Colours) -> Assembly:
    """A chest with three to five drawers and knobs."""
    cabinet, w, h, d = Assembly(), rng.uniform(0.8, 1.1), rng.uniform(0.9, 1.25), rng.uniform(0.45, 0.55)
    cabinet.add(box((w, h, d), (0, h / 2, 0)), colours.body)
    cabinet.add(box((w + 0.08, 0.06, d + 0.08), (0, h, 0)), colours.second)
    _panels(cabinet, colours, w, d, 0.0, h)
    count = int(rng.integers(3, 6))
    pitch = (h - 0.1) / count
    for k in range(count):
        y = 0.08 + (k + 0.5) * pitch
        cabinet.add(box((0.9 * w, 0.8 * pitch, 0.05), (0, y, d / 2)), colours.second)
        cabinet.pair(disc(0.045, 0.07, "z").moved(0.25 * w, y, d / 2 + 0.04), colours.light)
    return cabinet


def shelves(rng: Generator, colours: Colours) -> Assembly:
    """Shelves, open at the front and at the back, with a few things on them."""
    cabinet, w, h, d = Assembly(), rng.uniform(0.7, 1.0), rng.uniform(1.4, 1.8), rng.uniform(0.35, 0.45)
    cabinet.pair(box((0.08, h, d), (w / 2, h / 2, 0)), colours.body)
    for y in (0.28, 0.72):
        cabinet.pair(box((0.04, 0.36 * h, 0.7 * d), (w / 2 + 0.04, y * h, 0)), colours.second)
    count = int(rng.integers(3, 6))
    for k in range(count + 1):
        y = 0.03 + k * (h - 0.06) / count
        cabinet.add(box((w, 0.07, d), (0, y, 0)), colours.body)
        if 0 < k <= count and rng.random() < 0.7:
            width = rng.uniform(0.2, 0.6) * w
            size = (width, 0.6 * (h / count), 0.6 * d)
            cabinet.add(box(size, (rng.uniform(-0.15, 0.15) * w, y - 0.6 * h / count, 0)), colours.warm)
    return cabinet


def sideboard(rng: Generator, colours: Colours) -> Assembly:
    """Low and wide on short legs, doors and a drawer."""
    cabinet, w, h, d = Assembly(), rng.uniform(1.3, 1.7), rng.uniform(0.55, 0.7), rng.uniform(0.45, 0.55)
    cabinet.add(box((w, h, d), (0, 0.2 + h / 2, 0)), colours.body)
    cabinet.add(box((w + 0.06, 0.05, d + 0.06), (0, 0.2 + h, 0)), colours.second)
    for z in (-1, 1):
        cabinet.pair(box((0.08, 0.2, 0.08), (w / 2 - 0.08, 0.1, z * (d / 2 - 0.08))), colours.second)
    _doors(cabinet, colours, w, 0.24, 0.2 + h - 0.05, d / 2, int(rng.integers(3, 5)))
    _panels(cabinet, colours, w, d, 0.2, 0.2 + h)
    return cabinet


def _doors(cabinet: Assembly, colours: Colours, width: float, low: float, high: float, z: float, count: int) -> None:
    pitch = 0.94 * width / count
    for k in range(count):
        x = (k - (count - 1) / 2) * pitch
        cabinet.add(box((0.9 * pitch, high - low, 0.05), (x, (low + high) / 2, z)), colours.second)
        handle = x + (0.33 if k % 2 == 0 else -0.33) * pitch
        cabinet.add(box((0.045, 0.25 * (high - low), 0.06), (handle, (low + high) / 2, z + 0.05)), colours.light)


def _panels(cabinet: Assembly, colours: Colours, w: float, d: float, low: float, high: float) -> None:
    """Raised panels at the sides and at the back, so that no view shows a bare box."""
    y, h = (low + high) / 2, high - low
    cabinet.pair(box((0.04, 0.86 * h, 0.72 * d), (w / 2, y, 0)), colours.second)
    for x in (-0.23, 0.23):
        cabinet.add(box((0.38 * w, 0.86 * h, 0.04), (x * w, y, -d / 2)), colours.second)


STYLES = (wardrobe, drawers, shelves, sideboard)
