"""Rifles: assault, hunting, lever action, marksman's with a bipod, carbine. The muzzle points along +z."""

from itertools import pairwise

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, cylinder, disc, extrude, rod

Generator = np.random.Generator
# Everything is about twice as thick as in a real rifle: one is 1 long, and a barrel of 2 % is gone at 32 px.


def _barrel(rifle: Assembly, colours: Colours, start: float, end: float, y: float, radius: float = 0.045) -> None:
    rifle.add(rod((0, y, start), (0, y, end), radius), colours.dark)
    rifle.add(rod((0, y, end - 0.14), (0, y, end), 1.5 * radius), colours.dark)


def _front_sight(rifle: Assembly, colours: Colours, y: float, z: float) -> None:
    rifle.add(extrude([(z - 0.06, y), (z + 0.06, y), (z + 0.02, y + 0.14), (z - 0.02, y + 0.14)], 0.05), colours.dark)


def _scope(rifle: Assembly, colours: Colours, z: float, y: float) -> None:
    rifle.add(rod((0, y, z - 0.26), (0, y, z + 0.26), 0.05), colours.dark)
    for place, radius in ((0.26, 0.085), (-0.26, 0.075)):
        rifle.add(disc(radius, 0.14, "z", 14).moved(0, y, z + place), colours.dark)
        rifle.add(disc(0.75 * radius, 0.16, "z", 14).moved(0, y, z + place), colours.glass)
    rifle.add(cylinder(0.04, 0.1, 10).moved(0, y, z), colours.dark)
    for place in (-0.12, 0.12):
        rifle.add(box((0.05, 0.13, 0.06), (0, y - 0.09, z + place)), colours.dark)


def _trigger(rifle: Assembly, colours: Colours, z: float, y: float) -> None:
    """The guard as a bent bar, the trigger inside it."""
    corners = [(z + 0.12, y), (z + 0.1, y - 0.13), (z - 0.08, y - 0.13), (z - 0.12, y)]
    for (z0, y0), (z1, y1) in pairwise(corners):
        rifle.add(rod((0, y0, z0), (0, y1, z1), 0.022, 6), colours.dark)
    rifle.add(box((0.03, 0.1, 0.03), (0, y - 0.03, z)), colours.dark)


def _wooden_stock(rifle: Assembly, colours: Colours, rng: Generator, fore: float) -> None:
    """One piece of wood from the butt to the fore-end at z = `fore`, its wrist thin and its butt deep."""
    drop = rng.uniform(0.2, 0.28)
    outline = [(fore, 0.04), (-0.25, 0.05), (-0.4, 0.0), (-0.95, -0.02), (-0.98, -drop - 0.1)]
    outline += [(-0.9, -drop - 0.12), (-0.44, -0.16), (-0.3, -0.1), (0.2, -0.1), (fore, -0.05)]
    rifle.add(extrude(outline, 0.13, "x", 0.02), colours.body)
    butt = [(-0.96, 0.0), (-1.02, 0.0), (-1.05, -drop - 0.12), (-0.97, -drop - 0.12)]
    rifle.add(extrude(butt, 0.14), colours.dark)


def assault(rng: Generator, colours: Colours) -> Assembly:
    """Curved magazine, pistol grip, short wooden fore-end and stock, a gas tube above the barrel."""
    rifle, end = Assembly(), rng.uniform(0.9, 1.1)
    rifle.add(box((0.12, 0.2, 0.66), (0, 0, 0.0)), colours.dark)
    rifle.add(box((0.14, 0.16, 0.36), (0, 0.0, 0.46)), colours.body)
    rifle.add(rod((0, 0.09, 0.2), (0, 0.09, 0.78), 0.045), colours.dark)
    stock = [(-0.3, 0.06), (-0.82, 0.02), (-0.86, -0.28), (-0.76, -0.28), (-0.3, -0.09)]
    rifle.add(extrude(stock, 0.11, "x", 0.01), colours.body)
    rifle.add(extrude([(-0.3, -0.07), (-0.14, -0.07), (-0.2, -0.38), (-0.34, -0.36)], 0.1), colours.body)
    bend = rng.uniform(0.1, 0.22)
    magazine = [(0.06, -0.05), (0.26, -0.05), (0.28, -0.25), (0.28 + bend, -0.5), (0.11 + bend, -0.55), (0.09, -0.28)]
    rifle.add(extrude(magazine, 0.1), colours.second)
    _trigger(rifle, colours, -0.05, -0.08)
    _barrel(rifle, colours, 0.5, end, 0.0)
    _front_sight(rifle, colours, 0.03, end - 0.16)
    rifle.add(box((0.05, 0.07, 0.1), (0, 0.14, 0.18)), colours.dark)
    return rifle


def carbine(rng: Generator, colours: Colours) -> Assembly:
    """Carrying handle or scope on top, straight magazine, a stock on a tube."""
    rifle, end = Assembly(), rng.uniform(0.95, 1.1)
    rifle.add(box((0.12, 0.22, 0.52), (0, 0, 0.02)), colours.dark)
    rifle.add(rod((0, 0.02, 0.26), (0, 0.02, 0.74), 0.1), colours.body)
    rifle.add(rod((0, 0.02, -0.2), (0, 0.02, -0.7), 0.055), colours.dark)
    stock = [(-0.46, 0.07), (-0.84, 0.07), (-0.86, -0.27), (-0.76, -0.27), (-0.46, -0.05)]
    rifle.add(extrude(stock, 0.11, "x", 0.01), colours.body)
    rifle.add(extrude([(-0.22, -0.08), (-0.07, -0.08), (-0.16, -0.38), (-0.3, -0.36)], 0.1), colours.body)
    lean = rng.uniform(0.0, 0.06)
    rifle.add(extrude([(0.1, -0.08), (0.28, -0.08), (0.28 + lean, -0.45), (0.1 + lean, -0.47)], 0.1), colours.second)
    _trigger(rifle, colours, 0.0, -0.09)
    _barrel(rifle, colours, 0.6, end, 0.02)
    _front_sight(rifle, colours, 0.04, 0.78)
    if rng.random() < 0.5:
        handle = [
            (-0.2, 0.1),
            (-0.2, 0.26),
            (0.2, 0.24),
            (0.26, 0.1),
            (0.2, 0.1),
            (0.16, 0.18),
            (-0.13, 0.19),
            (-0.13, 0.1),
        ]
        rifle.add(extrude(handle, 0.07), colours.dark)
    else:
        _scope(rifle, colours, 0.02, 0.25)
    return rifle


def hunting(rng: Generator, colours: Colours) -> Assembly:
    """A wooden stock from butt to fore-end, a bolt, a scope."""
    rifle, end = Assembly(), rng.uniform(1.0, 1.2)
    _wooden_stock(rifle, colours, rng, 0.55)
    rifle.add(rod((0, 0.06, -0.3), (0, 0.06, 0.3), 0.07), colours.dark)
    _barrel(rifle, colours, 0.2, end, 0.06)
    rifle.add(rod((0.0, 0.05, -0.16), (0.17, -0.03, -0.18), 0.03), colours.light)
    _scope(rifle, colours, 0.02, 0.24)
    _trigger(rifle, colours, -0.16, -0.1)
    return rifle


def lever_action(rng: Generator, colours: Colours) -> Assembly:
    """A barrel above a magazine tube, a bright action with a loop below."""
    rifle, end = Assembly(), rng.uniform(0.95, 1.15)
    _wooden_stock(rifle, colours, rng, 0.0)
    rifle.add(box((0.13, 0.24, 0.44), (0, 0.01, -0.05)), colours.light)
    rifle.add(box((0.15, 0.15, 0.42), (0, 0.0, 0.4)), colours.body)
    _barrel(rifle, colours, 0.1, end, 0.09)
    rifle.add(rod((0, -0.01, 0.2), (0, -0.01, end - 0.12), 0.042), colours.dark)
    rifle.add(box((0.1, 0.16, 0.06), (0, 0.03, 0.72)), colours.light)
    loop = [(0.0, -0.1), (-0.04, -0.28), (-0.36, -0.34), (-0.42, -0.26), (-0.26, -0.08)]
    for (z0, y0), (z1, y1) in pairwise(loop):
        rifle.add(rod((0, y0, z0), (0, y1, z1), 0.032, 6), colours.light)
    _front_sight(rifle, colours, 0.11, end - 0.12)
    return rifle


def marksman(rng: Generator, colours: Colours) -> Assembly:
    """A long barrel with a brake on a bipod, a thumbhole stock, a large scope."""
    rifle, end = Assembly(), rng.uniform(1.15, 1.3)
    stock = [(0.6, 0.05), (-0.3, 0.05), (-0.42, 0.08), (-0.95, 0.08), (-0.97, -0.28), (-0.85, -0.28), (-0.6, -0.12)]
    stock += [(-0.48, -0.12), (-0.46, -0.36), (-0.32, -0.36), (-0.26, -0.1), (0.6, -0.08)]
    rifle.add(extrude(stock, 0.13, "x", 0.02), colours.body)
    rifle.add(rod((0, 0.07, -0.35), (0, 0.07, 0.4), 0.065), colours.dark)
    _barrel(rifle, colours, 0.3, end, 0.07, 0.05)
    _scope(rifle, colours, -0.02, 0.26)
    rifle.add(extrude([(0.02, -0.06), (0.2, -0.06), (0.2, -0.32), (0.04, -0.34)], 0.1), colours.dark)
    _trigger(rifle, colours, -0.13, -0.08)
    spread = rng.uniform(0.16, 0.24)
    rifle.pair(rod((0, 0.02, 0.62), (spread, -0.42, 0.68), 0.038, 6), colours.dark)
    rifle.pair(box((0.1, 0.06, 0.1), (spread, -0.43, 0.68)), colours.dark)
    return rifle


STYLES = (assault, hunting, lever_action, marksman, carbine)
