"""Vessels: sailing boat, freighter, motor boat, tug, rowing boat. The bow points along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colour, Colours
from robust3d.shapes.primitives import Floats, blade, box, cylinder, extrude, frustum, loft, rod, slab, torus

Generator = np.random.Generator
# How far along the hull (0 stern, 1 bow) and how wide it is there.
LINES = ((0.0, 0.78), (0.25, 0.98), (0.5, 1.0), (0.7, 0.86), (0.85, 0.56), (0.95, 0.25), (1.0, 0.05))


def _rings(length: float, beam: float, levels: list[tuple[float, float]], rise: float) -> Floats:
    """Cross sections from stern to bow through (height, width factor) pairs; the sheer rises towards the bow."""
    rings = []
    for t, wide in LINES:
        half = [0.5 * beam * wide * factor for _, factor in levels]
        heights = [y + rise * t**3 * (1.0 if y >= 0 else 0.5) for y, _ in levels]
        rake = [(0.1 * t**4 + 0.02 * t) * length * min(y, 0.0) / 0.3 for y, _ in levels]
        z = [(t - 0.5) * length + r for r in rake]
        side = list(zip(half, heights, z))
        rings.append([(-x, y, w) for x, y, w in side] + side[::-1])
    return np.array(rings)


def _hull(vessel: Assembly, colours: Colours, size: tuple[float, float, float], rise: float, paint: Colour) -> None:
    """Painted topsides over a dark bottom, a pale deck and a raised rim; the deck is at y = 0, y down to -depth."""
    length, beam, depth = size
    vessel.add(loft(_rings(length, beam, [(0.06, 1.0), (-0.55 * depth, 0.86)], rise)), paint)
    bottom = loft(_rings(length, beam, [(-0.5 * depth, 0.9), (-0.8 * depth, 0.72), (-depth, 0.3)], rise))
    vessel.add(bottom, colours.dark)
    vessel.add(loft(_rings(0.92 * length, 0.84 * beam, [(0.075, 1.0), (0.0, 1.0)], rise)), colours.light)


def _sail(corners: tuple[tuple[float, float], ...], belly: float) -> Floats:
    """Grid (A, B, 3) of a triangular sail in the plane x = 0 that bulges sideways: tack, head, clew as (z, y)."""
    tack, head, clew = (np.array(c) for c in corners)
    u, v = np.meshgrid(np.linspace(0, 1, 7), np.linspace(0, 1, 5), indexing="ij")
    luff = tack + u[..., None] * (head - tack)
    chord = (clew - tack) * (1 - 0.94 * u[..., None])
    zy = luff + v[..., None] * chord
    bulge = belly * 4 * v * (1 - v) * (1 - 0.8 * u)
    return np.stack([bulge, zy[..., 1], zy[..., 0]], axis=-1)


def sailing(rng: Generator, colours: Colours) -> Assembly:
    """A mast with a main sail and a foresail, set a little to one side."""
    vessel, length, mast = Assembly(), rng.uniform(1.5, 1.8), rng.uniform(1.4, 1.75)
    _hull(vessel, colours, (length, 0.5, 0.3), 0.1, colours.body)
    vessel.add(box((0.26, 0.2, 0.42), (0, 0.1, -0.12)), colours.second)
    foot = 0.12 * length
    vessel.add(rod((0, 0, foot), (0, mast, foot), 0.035), colours.dark)
    vessel.add(rod((0, 0.24, foot), (0.02, 0.24, foot - 0.5 * length), 0.03), colours.dark)
    belly, side = rng.uniform(0.1, 0.18), 1 if rng.random() < 0.5 else -1
    main = ((foot - 0.03, 0.28), (foot - 0.03, mast - 0.04), (foot - 0.5 * length, 0.3))
    fore = ((0.49 * length, 0.16), (foot + 0.06, 0.86 * mast), (foot + 0.04, 0.2))
    vessel.add(slab(_sail(main, side * belly), 0.035), colours.light)
    paint = colours.warm if rng.random() < 0.5 else colours.light
    vessel.add(slab(_sail(fore, side * belly), 0.035), paint)
    return vessel


def freighter(rng: Generator, colours: Colours) -> Assembly:
    """A long hull with stacked containers and the bridge at the stern."""
    vessel, length = Assembly(), rng.uniform(2.0, 2.3)
    _hull(vessel, colours, (length, 0.5, 0.42), 0.16, colours.body)
    stern = -0.38 * length
    vessel.add(box((0.44, 0.5, 0.2), (0, 0.27, stern)), colours.light)
    vessel.add(box((0.54, 0.11, 0.18), (0, 0.48, stern + 0.03)), colours.glass)
    vessel.add(box((0.5, 0.06, 0.22), (0, 0.56, stern)), colours.light)
    vessel.add(cylinder(0.08, 0.5, 14).moved(0, 0.1, stern - 0.16), colours.warm)
    vessel.add(cylinder(0.085, 0.1, 14).moved(0, 0.52, stern - 0.16), colours.dark)
    paints = (colours.second, colours.warm, colours.body, colours.light, colours.glass)
    bays, pitch = int(rng.integers(4, 6)), 0.13 * length
    for k in range(bays):
        tiers = int(rng.integers(1, 3)) if k == bays - 1 else int(rng.integers(1, 4))
        for tier in range(tiers):
            for x in (-0.105, 0.105):
                at = (x, 0.12 + 0.13 * tier, stern + 0.22 + k * pitch)
                vessel.add(box((0.2, 0.125, 0.94 * pitch), at), paints[int(rng.integers(len(paints)))])
    vessel.add(rod((0, 0.1, 0.42 * length), (0, 0.5, 0.42 * length), 0.03, 6), colours.light)
    return vessel


def motor_boat(rng: Generator, colours: Colours) -> Assembly:
    """A fast open boat with a windscreen, seats and an outboard engine."""
    vessel, length = Assembly(), rng.uniform(1.4, 1.6)
    _hull(vessel, colours, (length, 0.62, 0.3), 0.16, colours.body)
    ahead = rng.uniform(0.0, 0.12)
    bow = loft(_rings(0.55 * length, 0.56, [(0.14, 0.86), (0.0, 1.0)], 0.12)).moved(z=0.22 * length)
    vessel.add(bow, colours.second)
    screen = [(0.2, 0.08), (0.24, 0.08), (0.06, 0.36), (0.0, 0.36)]
    vessel.add(extrude(screen, 0.5, "x").moved(z=ahead - 0.05), colours.glass)
    side = [(0.2, 0.08), (0.02, 0.34), (-0.2, 0.1)]
    vessel.pair(extrude(side, 0.04, "x").moved(0.25, 0, ahead - 0.05), colours.glass)
    for z in (-0.2, -0.5):
        vessel.add(box((0.46, 0.14, 0.18), (0, 0.12, z * length + 0.16)), colours.second)
        vessel.add(box((0.46, 0.24, 0.06), (0, 0.18, z * length + 0.06)), colours.second)
    vessel.add(box((0.18, 0.22, 0.2), (0, 0.16, -length / 2 - 0.08)), colours.dark)
    vessel.add(box((0.09, 0.4, 0.1), (0, -0.12, -length / 2 - 0.08)), colours.dark)
    return vessel


def tug(rng: Generator, colours: Colours) -> Assembly:
    """A stout hull ringed with tyres, a wheelhouse, a striped funnel, a mast."""
    vessel, length = Assembly(), rng.uniform(1.3, 1.5)
    _hull(vessel, colours, (length, 0.62, 0.4), 0.2, colours.body)
    vessel.add(box((0.42, 0.26, 0.62), (0, 0.14, -0.05)), colours.light)
    vessel.add(box((0.36, 0.3, 0.32), (0, 0.38, 0.1)), colours.second)
    vessel.add(box((0.39, 0.1, 0.35), (0, 0.44, 0.1)), colours.glass)
    vessel.add(box((0.42, 0.05, 0.38), (0, 0.54, 0.1)), colours.light)
    high = rng.uniform(0.4, 0.55)
    vessel.add(frustum(0.13, 0.11, high).moved(0, 0.25, -0.24), colours.warm)
    vessel.add(cylinder(0.125, 0.1).moved(0, 0.21 + high, -0.24), colours.dark)
    vessel.add(rod((0, 0.5, 0.02), (0, rng.uniform(0.85, 1.0), 0.02), 0.03, 6), colours.dark)
    tyre = torus(0.085, 0.035, 14, 6).turned("z", 90)
    for z in (-0.36, -0.12, 0.12):
        vessel.pair(tyre.moved(0.31, -0.02, z * length), colours.dark)
    return vessel


def rowing(rng: Generator, colours: Colours) -> Assembly:
    """An open boat with thwarts across it and two oars that rest on its rim."""
    vessel, length = Assembly(), rng.uniform(1.4, 1.6)
    beam, depth, rise = 0.66, 0.36, 0.16
    vessel.add(loft(_rings(length, beam, [(0.0, 1.0), (-0.55 * depth, 0.86), (-depth, 0.4)], rise)), colours.body)
    vessel.add(loft(_rings(0.94 * length, 0.86 * beam, [(0.035, 1.0), (-0.1, 0.9)], 0.8 * rise)), colours.dark)
    rim = _rings(length, 1.02 * beam, [(0.04, 1.0)], rise)
    outline = np.concatenate([rim[:, 0], rim[::-1, 1]])
    for a, b in zip(outline, np.roll(outline, -1, axis=0)):
        vessel.add(rod(a, b, 0.04, 6), colours.second)
    for z in (-0.32, -0.02, 0.24):
        vessel.add(box((0.86 * beam, 0.06, 0.16), (0, 0.06, z * length)), colours.light)
    # The oars trail: stretched out they would make the boat small in the picture, and look like wings.
    sweep = rng.uniform(-0.75, -0.5)
    hand, lock, leaf = (0.1, 0.22, 0.3), (0.36, 0.13, 0.1), (0.66, -0.06, sweep)
    vessel.pair(rod(hand, lock, 0.04, 6), colours.light)
    vessel.pair(rod(lock, leaf, 0.04, 6), colours.light)
    vessel.pair(blade((0.56, -0.06, sweep), (0.76, -0.06, sweep), 0.34, 0.34, 0.15), colours.light)
    return vessel


STYLES = (sailing, freighter, motor_boat, tug, rowing)
