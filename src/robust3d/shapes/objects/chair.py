"""Chairs: four-legged, with arms, swivel, cantilever, high stool. The sitter looks along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, cylinder, ellipsoid, rod, rounded_box, tube

Generator = np.random.Generator


def _back(chair: Assembly, colours: Colours, rng: Generator, w: float, y: float, d: float, high: float) -> None:
    """A panel, slats or rungs between two posts."""
    kind = rng.integers(3)
    if kind == 0:
        chair.add(rounded_box((w, high, 0.08), 0.03, (0, y + high / 2, -d / 2)), colours.second)
        return
    chair.pair(box((0.07, high, 0.07), (w / 2 - 0.035, y + high / 2, -d / 2)), colours.body)
    if kind == 1:
        for k in range(3):
            chair.add(box((w, 0.1, 0.05), (0, y + high * (0.35 + 0.28 * k), -d / 2)), colours.second)
    else:
        chair.add(box((w, 0.1, 0.07), (0, y + high - 0.05, -d / 2)), colours.second)
        for x in (-0.25, 0.0, 0.25):
            chair.add(box((0.06, high, 0.05), (x * w, y + high / 2, -d / 2)), colours.second)


def four_legs(rng: Generator, colours: Colours) -> Assembly:
    """The plain kitchen chair."""
    chair, w, d, y = Assembly(), rng.uniform(0.5, 0.6), rng.uniform(0.5, 0.58), rng.uniform(0.5, 0.58)
    chair.add(rounded_box((w, 0.09, d), 0.03, (0, y, 0)), colours.second)
    for z in (-1, 1):
        foot = (w / 2 + rng.uniform(-0.04, 0.06), 0.0, z * (d / 2))
        chair.pair(rod((w / 2 - 0.06, y, z * (d / 2 - 0.06)), foot, 0.045), colours.body)
    _back(chair, colours, rng, w, y, d - 0.06, rng.uniform(0.55, 0.75))
    return chair


def armchair(rng: Generator, colours: Colours) -> Assembly:
    """Legs, a back, and arm rests on posts."""
    chair = four_legs(rng, colours)
    chair.pair(box((0.08, 0.07, 0.56), (0.3, 0.78, -0.02)), colours.body)
    chair.pair(box((0.07, 0.3, 0.07), (0.3, 0.64, 0.22)), colours.body)
    return chair


def swivel(rng: Generator, colours: Colours) -> Assembly:
    """An office chair: a star of five feet on castors, a column, a padded back."""
    chair, y = Assembly(), rng.uniform(0.48, 0.56)
    chair.add(rounded_box((0.58, 0.12, 0.56), 0.05, (0, y, 0)), colours.second)
    high = rng.uniform(0.5, 0.75)
    chair.add(rounded_box((0.52, high, 0.1), 0.05, (0, y + 0.16 + high / 2, -0.28)), colours.second)
    chair.add(box((0.1, 0.4, 0.06), (0, y + 0.1, -0.32)), colours.dark)
    chair.add(cylinder(0.06, y - 0.08).moved(y=0.08), colours.dark)
    start_deg = rng.uniform(0, 72)
    chair.around(rod((0, 0.12, 0), (0, 0.05, 0.36), 0.045), colours.dark, 5, start_deg)
    chair.around(ellipsoid((0.06, 0.06, 0.06), (0, 0.06, 0.36), 8), colours.dark, 5, start_deg)
    if rng.random() < 0.6:
        chair.pair(box((0.08, 0.05, 0.36), (0.33, y + 0.26, 0)), colours.dark)
        chair.pair(box((0.05, 0.28, 0.06), (0.33, y + 0.12, -0.05)), colours.dark)
    return chair


def cantilever(rng: Generator, colours: Colours) -> Assembly:
    """One bent tube from the floor to the back."""
    chair, w, y = Assembly(), rng.uniform(0.48, 0.56), 0.52
    side = [(0, 0.03, -0.3), (0, 0.03, 0.28), (0, 0.1, 0.32), (0, y - 0.05, 0.3), (0, y, 0.25), (0, y, -0.26)]
    side += [(0, y + 0.08, -0.32), (0, y + 0.7, -0.42)]
    chair.pair(tube(np.add(side, [w / 2, 0, 0]), 0.04), colours.light)
    chair.add(rounded_box((w, 0.07, 0.52), 0.03, (0, y + 0.03, 0)), colours.second)
    high = rng.uniform(0.3, 0.5)
    chair.add(box((w, high, 0.06), (0, y + 0.7 - high / 2, -0.4)), colours.second)
    chair.add(rod((-w / 2, 0.03, -0.3), (w / 2, 0.03, -0.3), 0.035), colours.light)
    return chair


def high_chair(rng: Generator, colours: Colours) -> Assembly:
    """A bar chair: long legs with rungs, a small seat, a low back."""
    chair, y, w = Assembly(), rng.uniform(0.75, 0.9), 0.46
    chair.add(rounded_box((w, 0.08, w), 0.03, (0, y, 0)), colours.second)
    for z in (-1, 1):
        chair.pair(
            rod((w / 2 - 0.05, y, z * (w / 2 - 0.05)), (w / 2 + 0.06, 0, z * (w / 2 + 0.06)), 0.04),
            colours.body,
        )
        chair.add(box((w, 0.05, 0.05), (0, 0.3, z * (w / 2))), colours.body)
    _back(chair, colours, rng, w, y, w - 0.05, rng.uniform(0.35, 0.45))
    return chair


STYLES = (four_legs, armchair, swivel, cantilever, high_chair)
