"""Sofas: two- and three-seaters, corner sofa, chesterfield, round love seat. The sitters look along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, disc, loft, rounded_box, slab

Generator = np.random.Generator


def _feet(sofa: Assembly, colours: Colours, w: float, d: float) -> None:
    for z in (-1, 1):
        sofa.pair(box((0.09, 0.14, 0.09), (w / 2 - 0.1, 0.05, z * (d / 2 - 0.1))), colours.dark)


def _cushions(sofa: Assembly, colours: Colours, w: float, d: float, seats: int, y: float, back: float) -> None:
    pitch = w / seats
    for k in range(seats):
        x = (k - (seats - 1) / 2) * pitch
        sofa.add(rounded_box((0.97 * pitch, 0.2, 0.8 * d), 0.06, (x, y, 0.06 * d)), colours.second)
        sofa.add(rounded_box((0.95 * pitch, back, 0.22), 0.08, (x, y + 0.06 + back / 2, -0.33 * d)), colours.second)


def _sofa(rng: Generator, colours: Colours, seats: int, arm: float, roll: bool) -> Assembly:
    sofa, d = Assembly(), rng.uniform(0.85, 0.95)
    w = seats * rng.uniform(0.55, 0.66)
    full = w + 2 * arm
    sofa.add(rounded_box((full, 0.26, d), 0.04, (0, 0.23, 0)), colours.body)
    high = rng.uniform(0.5, 0.62)
    sofa.add(rounded_box((full, high, 0.22), 0.07, (0, 0.34 + high / 2, -d / 2 + 0.08)), colours.body)
    arm_high = high - 0.12 if roll else rng.uniform(0.28, 0.36)
    sofa.pair(rounded_box((arm, arm_high, d), 0.06, ((w + arm) / 2, 0.32 + arm_high / 2, 0)), colours.body)
    if roll:
        sofa.pair(disc(0.75 * arm, d + 0.04, "z").moved((w + arm) / 2, 0.34 + arm_high, 0), colours.body)
        sofa.add(disc(0.13, full, "x").moved(0, 0.36 + high, -d / 2 + 0.06), colours.body)
    _cushions(sofa, colours, w, d, seats, 0.42, 0.36)
    _feet(sofa, colours, full, d)
    return sofa


def three_seater(rng: Generator, colours: Colours) -> Assembly:
    """Long, with three cushions."""
    return _sofa(rng, colours, 3, rng.uniform(0.16, 0.24), False)


def two_seater(rng: Generator, colours: Colours) -> Assembly:
    """Two cushions between broad arms."""
    return _sofa(rng, colours, 2, rng.uniform(0.22, 0.3), False)


def chesterfield(rng: Generator, colours: Colours) -> Assembly:
    """Rolled arms as high as the back."""
    return _sofa(rng, colours, int(rng.integers(2, 4)), 0.2, True)


def corner(rng: Generator, colours: Colours) -> Assembly:
    """An L: one seat reaches forward."""
    sofa = _sofa(rng, colours, 3, 0.18, False)
    w, reach = 0.68, rng.uniform(0.6, 0.8)
    side = 1 if rng.random() < 0.5 else -1
    x = side * 0.74
    sofa.add(rounded_box((w, 0.26, reach), 0.04, (x, 0.23, 0.4 + reach / 2)), colours.body)
    sofa.add(rounded_box((0.95 * w, 0.2, reach), 0.06, (x, 0.42, 0.4 + reach / 2)), colours.second)
    return sofa


def tub(rng: Generator, colours: Colours) -> Assembly:
    """A love seat whose back runs round into the arms in one curve."""
    sofa, w, d = Assembly(), rng.uniform(0.75, 0.95), rng.uniform(0.85, 1.0)
    high, thick = rng.uniform(0.62, 0.75), rng.uniform(0.17, 0.22)
    angle = np.radians(np.linspace(180, 360, 13))
    run = np.stack([(w - thick / 2) * np.cos(angle), (0.55 * d - thick / 2) * np.sin(angle)], axis=-1)
    front = (w - thick / 2, 0.45 * d)
    run = np.concatenate([[(-front[0], front[1])], run, [front]])
    rim = 0.14 + high - rng.uniform(0.0, 0.3) * (run[:, 1] + 0.55 * d) / d
    wall = np.empty((len(run), 2, 3))
    wall[:, :, (0, 2)] = run[:, None]
    wall[:, 0, 1], wall[:, 1, 1] = 0.14, rim
    sofa.add(slab(wall, thick), colours.body)
    base = np.stack([run[:, 0], np.full(len(run), 0.12), run[:, 1]], axis=-1)
    sofa.add(loft([base, base + np.array([0.0, 0.24, 0.0])]), colours.body)
    for x in (-1, 1):
        seat = rounded_box((w - thick, 0.18, 0.72 * d), 0.06, (x * (w - thick) / 2, 0.42, 0.11 * d))
        sofa.add(seat, colours.second)
        pillow = rounded_box((0.42, 0.36, 0.14), 0.06).turned("x", -18).moved(x * 0.45 * w, 0.66, -0.2 * d)
        sofa.add(pillow, colours.light)
    _feet(sofa, colours, 1.5 * w, 0.8 * d)
    return sofa


STYLES = (three_seater, two_seater, chesterfield, corner, tub)
