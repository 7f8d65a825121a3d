"""Telephones: desk set with dial or keys, office set, cordless, smartphone, flip phone. Their keys look along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colour, Colours
from robust3d.shapes.primitives import (
    Floats,
    Shell,
    box,
    curve,
    cylinder,
    disc,
    extrude,
    frustum,
    lathe,
    rounded_box,
    tube,
)

Generator = np.random.Generator


def _handset(length: float) -> tuple[Shell, ...]:
    """A bow along x whose ear piece and mouth piece hang down to y = 0."""
    half = length / 2
    bow = curve([(-half, 0.16, 0), (-0.55 * half, 0.26, 0), (0.55 * half, 0.26, 0), (half, 0.16, 0)], 5)
    cup = lathe([(0, 0), (0.17, 0), (0.17, 0.07), (0.1, 0.22), (0, 0.24)], 20).moved(half - 0.05)
    return tube(bow, 0.085).stretched(z=1.1), cup, cup.mirrored()


def _keys(colours: Colours, w: float, h: float, size: float = 0.62) -> list[tuple[Shell, Colour]]:
    """Four rows of three keys that stand up from the plane y = 0; the last row has the accents."""
    parts = []
    for i in range(4):
        for j in range(3):
            at = ((j - 1) * w / 3, 0.0, (i - 1.5) * h / 4)
            shell = box((size * w / 3, 0.09, size * h / 4), at)
            parts.append((shell, colours.warm if i == 3 and j != 1 else colours.light))
    return parts


def desk_set(rng: Generator, colours: Colours) -> Assembly:
    """The classic: a sloping body, the handset across its top, a finger dial or keys on its front."""
    phone, w = Assembly(), rng.uniform(0.78, 0.92)
    narrow = rng.uniform(0.82, 1.0)

    def taper(p: Floats) -> Floats:
        p[:, 0] *= 1.0 - (1.0 - narrow) * p[:, 1] / 0.46
        return p

    outline = [(-0.4, 0.0), (0.46, 0.0), (0.48, 0.1), (-0.06, 0.44), (-0.36, 0.46), (-0.42, 0.2)]
    phone.add(extrude(outline, w, "x", 0.03).warped(taper), colours.body)
    phone.pair(box((0.1, 0.18, 0.24), (0.24, 0.46, -0.21)), colours.body)
    for shell in _handset(rng.uniform(0.98, 1.12)):
        phone.add(shell.moved(0, 0.42, -0.21), colours.second)
    if rng.random() < 0.6:
        parts = [(disc(0.28, 0.1, "y", 28), colours.light), (disc(0.13, 0.14, "y", 16), colours.second)]
        for k in range(10):
            hole = disc(0.044, 0.13, "y", 8).moved(0.205).turned("y", 30.0 * k - 60.0)
            parts.append((hole, colours.dark))
    else:
        parts = [(rounded_box((0.6, 0.06, 0.5), 0.02), colours.dark), *_keys(colours, 0.56, 0.46)]
    for shell, colour in parts:
        phone.add(shell.turned("x", 32).moved(0, 0.28, 0.22), colour)
    return phone


def office(rng: Generator, colours: Colours) -> Assembly:
    """A flat wedge: the handset lies along its left side, keys and a small display on the right."""
    phone, w = Assembly(), rng.uniform(0.95, 1.1)
    phone.add(extrude([(-0.46, 0), (0.46, 0), (0.46, 0.08), (-0.42, 0.34)], w, "x", 0.03), colours.body)
    parts = [(shell.turned("y", 90).moved(-0.3 * w, 0.02, 0.0), colours.second) for shell in _handset(0.84)]
    x = 0.2 * w
    parts += [(shell.moved(x, 0.0, 0.12), colour) for shell, colour in _keys(colours, 0.46 * w, 0.48)]
    parts.append((box((0.46 * w, 0.07, 0.2), (x, 0.0, -0.29)), colours.glass))
    for shell, colour in parts:
        phone.add(shell.turned("x", 16.5).moved(0, 0.22, 0.0), colour)
    return phone


def cordless(rng: Generator, colours: Colours) -> Assembly:
    """A handset with an aerial that stands in its cradle."""
    phone, h, w = Assembly(), rng.uniform(0.9, 1.05), rng.uniform(0.34, 0.4)
    phone.add(extrude([(-0.3, 0), (0.36, 0), (0.32, 0.12), (-0.3, 0.28)], 1.7 * w, "x", 0.03), colours.second)
    parts = [(rounded_box((w, h, 0.2), 0.07, (0, h / 2, 0)), colours.body)]
    parts += [(box((0.76 * w, 0.24 * h, 0.06), (0, 0.76 * h, 0.09)), colours.glass)]
    parts += [(disc(0.045, 0.06, "z", 12).moved(0, 0.94 * h, 0.09), colours.dark)]
    keys = [(shell.turned("x", 90), colour) for shell, colour in _keys(colours, 0.84 * w, 0.42 * h)]
    parts += [(shell.moved(0, 0.4 * h, 0.09), colour) for shell, colour in keys]
    parts += [(frustum(0.05, 0.035, 0.36, 10).moved(0.3 * w, h - 0.03, -0.02), colours.dark)]
    for shell, colour in parts:
        phone.add(shell.turned("x", -10).moved(0, 0.1, 0.02), colour)
    return phone


def smartphone(rng: Generator, colours: Colours) -> Assembly:
    """A slab that leans backwards: a bright screen with icons and a button; lenses on the back."""
    phone, h = Assembly(), rng.uniform(1.0, 1.2)
    w = h * rng.uniform(0.5, 0.56)
    case = colours.dark if rng.random() < 0.5 else colours.body
    parts = [(rounded_box((w, h, 0.1), 0.045), case), (box((0.88 * w, 0.76 * h, 0.03), (0, 0.02, 0.05)), colours.light)]
    ink = colours.light if case is colours.dark else colours.dark
    parts += [(disc(0.06, 0.04, "z", 16).moved(0, -0.43 * h, 0.05), ink)]
    parts += [(rounded_box((0.3 * w, 0.035, 0.04), 0.01, (0, 0.45 * h, 0.05)), ink)]
    accents = (colours.warm, colours.second, colours.dark)
    for i in range(5):
        for j in range(3):
            at = ((j - 1) * 0.27 * w, (i - 1.85) * 0.14 * h, 0.07)
            parts.append((box((0.17 * w, 0.17 * w, 0.03), at), accents[int(rng.integers(3))]))
    parts.append((rounded_box((0.36 * w, 0.36 * w, 0.06), 0.02, (0.26 * w, 0.5 * h - 0.24 * w, -0.05)), ink))
    for dx, dy in ((-0.08, 0.08), (0.08, 0.08), (-0.08, -0.08)):
        lens = disc(0.065 * w, 0.1, "z", 12).moved((0.26 + dx) * w, 0.5 * h + (dy - 0.24) * w, -0.06)
        parts.append((lens, case))
    parts.append((disc(0.13 * w, 0.03, "z", 16).moved(0, -0.02, -0.05), ink))
    for shell, colour in parts:
        phone.add(shell.turned("x", -35), colour)
    return phone


def flip(rng: Generator, colours: Colours) -> Assembly:
    """Two halves at an angle: keys below, a small screen above, a display outside."""
    phone, w, h = Assembly(), rng.uniform(0.46, 0.54), rng.uniform(0.74, 0.84)
    phone.add(rounded_box((w, 0.13, h), 0.05, (0, 0, h / 2)), colours.body)
    for shell, colour in _keys(colours, 0.84 * w, 0.62 * h):
        phone.add(shell.moved(0, 0.04, 0.58 * h), colour)
    phone.add(disc(0.1, 0.9 * w, "x").moved(0, 0.04, 0), colours.dark)
    lean = rng.uniform(-35, -20)
    lid = [(rounded_box((w, h, 0.13), 0.05, (0, h / 2, 0)), colours.body)]
    lid += [(box((0.78 * w, 0.56 * h, 0.04), (0, 0.53 * h, 0.06)), colours.glass)]
    lid += [(rounded_box((0.3 * w, 0.05, 0.04), 0.01, (0, 0.89 * h, 0.06)), colours.dark)]
    lid += [(box((0.5 * w, 0.26 * h, 0.04), (0, 0.6 * h, -0.06)), colours.glass)]
    lid += [(cylinder(0.045, 0.3, 10).moved(0.34 * w, h - 0.08, 0), colours.dark)]
    for shell, colour in lid:
        phone.add(shell.turned("x", lean).moved(0, 0.02, 0), colour)
    return phone


STYLES = (desk_set, office, cordless, smartphone, flip)
