"""Rifles: assault rifle, hunting rifle, lever action, marksman's rifle with a bipod. The muzzle points along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, disc, extrude, rod

Generator = np.random.Generator


def _barrel(
    rifle: Assembly, colours: Colours, start: float, end: float, y: float, radius: float = 0.032
) -> None:
    rifle.add(rod((0, y, start), (0, y, end), radius), colours.dark)
    rifle.add(rod((0, y, end - 0.12), (0, y, end), 1.5 * radius), colours.dark)


def _scope(rifle: Assembly, colours: Colours, z: float, y: float) -> None:
    rifle.add(rod((0, y, z - 0.2), (0, y, z + 0.2), 0.04), colours.dark)
    rifle.add(disc(0.06, 0.1, "z").moved(0, y, z + 0.22), colours.dark)
    rifle.add(disc(0.055, 0.08, "z").moved(0, y, z - 0.22), colours.dark)
    for place in (-0.1, 0.1):
        rifle.add(box((0.04, 0.1, 0.05), (0, y - 0.06, z + place)), colours.dark)


def assault(rng: Generator, colours: Colours) -> Assembly:
    """Pistol grip, curved magazine, straight stock."""
    rifle, end = Assembly(), rng.uniform(0.95, 1.15)
    rifle.add(box((0.09, 0.16, 0.6), (0, 0, 0)), colours.dark)
    rifle.add(box((0.1, 0.12, 0.4), (0, 0.01, 0.48)), colours.body)
    stock = [(-0.28, 0.06), (-0.85, 0.05), (-0.88, -0.24), (-0.78, -0.24), (-0.28, -0.06)]
    rifle.add(extrude(stock, 0.08, "x"), colours.body)
    grip = [(-0.25, -0.05), (-0.1, -0.05), (-0.17, -0.34), (-0.3, -0.32)]
    rifle.add(extrude(grip, 0.08, "x"), colours.body)
    bend = rng.uniform(0.05, 0.16)
    magazine = [
        (0.02, -0.05),
        (0.2, -0.05),
        (0.22, -0.22),
        (0.22 + bend, -0.4),
        (0.08 + bend, -0.43),
        (0.05, -0.24),
    ]
    rifle.add(extrude(magazine, 0.07, "x"), colours.second)
    _barrel(rifle, colours, 0.6, end, 0.02)
    rifle.add(box((0.03, 0.14, 0.05), (0, 0.1, end - 0.14)), colours.dark)
    if rng.random() < 0.5:
        rifle.add(box((0.05, 0.08, 0.4), (0, 0.13, 0.0)), colours.dark)
    else:
        _scope(rifle, colours, 0.0, 0.18)
    return rifle


def hunting(rng: Generator, colours: Colours) -> Assembly:
    """A wooden stock from butt to fore-end, a bolt, a scope."""
    rifle, end = Assembly(), rng.uniform(1.1, 1.3)
    _wooden_stock(rifle, colours, rng)
    rifle.add(rod((0, 0.04, -0.25), (0, 0.04, 0.3), 0.055), colours.dark)
    _barrel(rifle, colours, 0.2, end, 0.04)
    rifle.add(rod((0.0, 0.04, -0.1), (0.16, -0.02, -0.12), 0.025), colours.light)
    _scope(rifle, colours, 0.02, 0.16)
    rifle.add(box((0.03, 0.1, 0.16), (0, -0.13, -0.02)), colours.dark)
    return rifle


def lever_action(rng: Generator, colours: Colours) -> Assembly:
    """Two tubes above each other and a loop below the action."""
    rifle, end = Assembly(), rng.uniform(1.0, 1.2)
    _wooden_stock(rifle, colours, rng)
    rifle.add(box((0.08, 0.18, 0.4), (0, 0.0, 0)), colours.light)
    _barrel(rifle, colours, 0.2, end, 0.07)
    rifle.add(rod((0, -0.02, 0.2), (0, -0.02, end - 0.1), 0.03), colours.dark)
    for a, b in (
        ((0, -0.08, 0.05), (0, -0.24, 0.0)),
        ((0, -0.24, 0.0), (0, -0.24, -0.22)),
        ((0, -0.24, -0.22), (0, -0.1, -0.3)),
    ):
        rifle.add(rod(a, b, 0.028), colours.light)
    return rifle


def marksman(rng: Generator, colours: Colours) -> Assembly:
    """A long barrel on a bipod, a large scope."""
    rifle = hunting(rng, colours)
    for side in (-1, 1):
        rifle.add(rod((0, 0.0, 0.72), (side * 0.2, -0.36, 0.78), 0.028), colours.dark)
    magazine = [(0.02, -0.1), (0.16, -0.1), (0.16, -0.3), (0.02, -0.3)]
    rifle.add(extrude(magazine, 0.06, "x"), colours.dark)
    return rifle


def _wooden_stock(rifle: Assembly, colours: Colours, rng: Generator) -> None:
    drop = rng.uniform(0.2, 0.28)
    outline = [(0.55, 0.03), (-0.25, 0.03), (-0.4, 0.0), (-0.95, -0.02), (-1.0, -drop - 0.05)]
    outline += [(-0.9, -drop - 0.05), (-0.42, -0.16), (-0.3, -0.1), (0.2, -0.09), (0.55, -0.05)]
    rifle.add(extrude(outline, 0.09, "x", 0.01), colours.body)


STYLES = (assault, hunting, lever_action, marksman)
