"""Vessels: sailing boat, freighter, motor boat, tug, rowing boat. The bow points along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import Shell, blade, box, cylinder, extrude, loft, rod

Generator = np.random.Generator


def _hull(length: float, beam: float, depth: float, rise: float = 0.08) -> Shell:
    """A keel below, flared sides, a pointed bow and a flat stern; the deck is at y = 0."""
    rings = []
    for t, wide in ((0.0, 0.8), (0.3, 1.0), (0.6, 0.92), (0.8, 0.66), (0.93, 0.33), (1.0, 0.04)):
        z, half = (t - 0.5) * length, wide * beam / 2
        deck, keel = rise * t**3, -depth * (1 - 0.75 * t**4)
        rings.append(
            [
                (-half, deck, z),
                (-0.72 * half, 0.6 * keel, z),
                (0, keel, z),
                (0.72 * half, 0.6 * keel, z),
                (half, deck, z),
            ]
        )
    return loft(np.array(rings))


def sailing(rng: Generator, colours: Colours) -> Assembly:
    """A mast with a main sail and a foresail."""
    vessel, length, mast = Assembly(), rng.uniform(1.4, 1.7), rng.uniform(1.3, 1.6)
    vessel.add(_hull(length, 0.42, 0.26), colours.body)
    vessel.add(box((0.24, 0.12, 0.36), (0, 0.05, -0.1)), colours.second)
    vessel.add(rod((0, 0, 0.1), (0, mast, 0.1), 0.03), colours.dark)
    main = [(0.06, 0.14), (0.06, mast - 0.05), (-0.45 * length, 0.16)]
    fore = [(0.14, 0.14), (0.14, 0.85 * mast), (0.48 * length, 0.12)]
    vessel.add(extrude(main, 0.04, "x"), colours.light)
    vessel.add(extrude(fore, 0.04, "x"), colours.warm if rng.random() < 0.5 else colours.light)
    return vessel


def freighter(rng: Generator, colours: Colours) -> Assembly:
    """A long hull with containers and the bridge at the stern."""
    vessel, length = Assembly(), rng.uniform(2.0, 2.4)
    vessel.add(_hull(length, 0.46, 0.32), colours.body)
    vessel.add(box((0.38, 0.42, 0.22), (0, 0.2, -0.41 * length)), colours.light)
    vessel.add(box((0.48, 0.1, 0.18), (0, 0.42, -0.41 * length)), colours.glass)
    vessel.add(cylinder(0.07, 0.3).moved(0, 0.42, -0.46 * length), colours.second)
    paints = (colours.second, colours.warm, colours.dark, colours.light)
    for k in range(int(rng.integers(4, 6))):
        height = float(rng.choice([0.16, 0.26, 0.34]))
        z = (-0.28 + 0.145 * k) * length
        vessel.add(box((0.4, height, 0.125 * length), (0, height / 2, z)), paints[int(rng.integers(4))])
    return vessel


def motor_boat(rng: Generator, colours: Colours) -> Assembly:
    """A fast open boat with a windscreen and an outboard engine."""
    vessel, length = Assembly(), rng.uniform(1.4, 1.7)
    vessel.add(_hull(length, 0.55, 0.24, 0.16), colours.body)
    vessel.add(extrude([(-0.02, 0.0), (0.26, 0.02), (0.02, 0.24), (-0.05, 0.24)], 0.42, "x"), colours.glass)
    vessel.add(box((0.44, 0.05, 0.5), (0, 0.02, -0.3)), colours.light)
    for z in (-0.2, -0.45):
        vessel.add(box((0.38, 0.16, 0.1), (0, 0.1, z)), colours.second)
    vessel.add(box((0.16, 0.3, 0.16), (0, 0.05, -length / 2 - 0.06)), colours.dark)
    return vessel


def tug(rng: Generator, colours: Colours) -> Assembly:
    """A stout hull, a high wheelhouse, a funnel, a mast."""
    vessel, length = Assembly(), rng.uniform(1.3, 1.5)
    vessel.add(_hull(length, 0.56, 0.34, 0.16), colours.body)
    vessel.add(box((0.4, 0.22, 0.6), (0, 0.1, -0.05)), colours.light)
    vessel.add(box((0.32, 0.2, 0.28), (0, 0.3, 0.08)), colours.second)
    vessel.add(box((0.36, 0.09, 0.3), (0, 0.32, 0.09)), colours.glass)
    vessel.add(cylinder(0.09, 0.4).moved(0, 0.2, -0.22), colours.warm)
    vessel.add(rod((0, 0.4, 0.02), (0, rng.uniform(0.7, 0.85), 0.02), 0.025), colours.dark)
    return vessel


def rowing(rng: Generator, colours: Colours) -> Assembly:
    """An open boat with thwarts and two oars."""
    vessel, length = Assembly(), rng.uniform(1.3, 1.6)
    vessel.add(_hull(length, 0.52, 0.24, 0.12), colours.body)
    vessel.add(_hull(0.86 * length, 0.42, 0.02, 0.06).moved(y=0.03), colours.dark)
    for z in (-0.35, 0.0, 0.3):
        vessel.add(box((0.46, 0.06, 0.14), (0, 0.06, z)), colours.light)
    vessel.pair(rod((0.1, 0.16, 0.12), (0.75, -0.1, -0.05), 0.03), colours.second)
    vessel.pair(blade((0.7, -0.08, -0.04), (0.95, -0.18, -0.1), 0.14, 0.16, 0.2), colours.second)
    return vessel


STYLES = (sailing, freighter, motor_boat, tug, rowing)
