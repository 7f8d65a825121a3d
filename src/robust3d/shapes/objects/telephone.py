"""Telephones: desk set with a dial or keys, candlestick, cordless on its cradle, smartphone, flip phone."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, curve, cylinder, disc, extrude, frustum, rounded_box, tube

Generator = np.random.Generator


def _handset(phone: Assembly, colours: Colours, length: float, y: float, z: float) -> None:
    """A bow along x with an ear piece and a mouth piece that hang down."""
    half = length / 2
    bow = curve([(-half, y, z), (-0.5 * half, y + 0.1, z), (0.5 * half, y + 0.1, z), (half, y, z)], 5)
    phone.add(tube(bow, 0.07), colours.second)
    phone.pair(cylinder(0.13, 0.13).moved(half - 0.02, y - 0.1, z), colours.second)


def _keys(phone: Assembly, colours: Colours, pitch: float, y: float, z: float, slope: float) -> None:
    for i in range(4):
        for j in range(3):
            at = ((j - 1) * pitch, y - slope * (i - 1.5) * pitch, z + (i - 1.5) * pitch)
            phone.add(box((0.66 * pitch, 0.05, 0.66 * pitch), at), colours.light)


def desk_set(rng: Generator, colours: Colours) -> Assembly:
    """A sloping body with the handset across its top; a dial or a field of keys."""
    phone, w = Assembly(), rng.uniform(0.72, 0.85)
    body = [(-0.42, 0.0), (0.48, 0.0), (0.48, 0.1), (-0.08, 0.4), (-0.42, 0.42)]
    phone.add(extrude(body, w, "x", 0.03), colours.body)
    phone.pair(box((0.08, 0.14, 0.16), (0.22, 0.46, -0.24)), colours.body)
    _handset(phone, colours, rng.uniform(0.85, 1.0), 0.56, -0.24)
    if rng.random() < 0.5:
        phone.add(disc(0.25, 0.06, "y", 24).turned("x", 28).moved(0, 0.28, 0.2), colours.light)
        phone.add(disc(0.11, 0.1, "y", 16).turned("x", 28).moved(0, 0.29, 0.2), colours.dark)
    else:
        _keys(phone, colours, 0.14, 0.29, 0.18, 0.53)
    return phone


def candlestick(rng: Generator, colours: Colours) -> Assembly:
    """The old upright one: a column with a mouth piece, the ear piece on a hook."""
    phone, h = Assembly(), rng.uniform(0.75, 0.9)
    phone.add(cylinder(0.3, 0.09, 24), colours.body)
    phone.add(cylinder(0.06, h), colours.body)
    phone.add(frustum(0.06, 0.17, 0.2).turned("x", 80).moved(0, h, 0.04), colours.second)
    phone.add(disc(0.17, 0.05, "y", 20).turned("x", 60).moved(0, 0.13, 0.26), colours.light)
    phone.add(frustum(0.06, 0.11, 0.34).moved(0.24, 0.4, 0), colours.second)
    phone.add(box((0.24, 0.05, 0.05), (0.12, 0.72, 0)), colours.light)
    return phone


def cordless(rng: Generator, colours: Colours) -> Assembly:
    """A handset with an aerial that stands in its cradle."""
    phone, h = Assembly(), rng.uniform(0.85, 1.0)
    phone.add(extrude([(-0.3, 0), (0.32, 0), (0.28, 0.14), (-0.3, 0.26)], 0.5, "x", 0.03), colours.second)
    tall = [(-0.12, 0.1), (0.1, 0.1), (0.02, h), (-0.16, h)]
    phone.add(extrude(tall, 0.3, "x", 0.03), colours.body)
    phone.add(box((0.22, 0.2, 0.05), (0, h - 0.18, 0.05)), colours.glass)
    for i in range(4):
        for j in range(3):
            y = 0.26 + 0.09 * i
            phone.add(box((0.05, 0.06, 0.05), ((j - 1) * 0.075, y, 0.1 - 0.09 * (y - 0.1))), colours.light)
    phone.add(cylinder(0.035, 0.3).moved(0.1, h, -0.08), colours.dark)
    return phone


def smartphone(rng: Generator, colours: Colours) -> Assembly:
    """A slab that leans backwards: a bright screen with icons, a speaker slit, a button."""
    phone, h = Assembly(), rng.uniform(1.0, 1.2)
    w = h * rng.uniform(0.48, 0.54)
    parts = [
        (rounded_box((w, h, 0.1), 0.04), colours.dark),
        (box((0.88 * w, 0.76 * h, 0.03), (0, 0.02, 0.05)), colours.light),
    ]
    parts += [(disc(0.055, 0.04, "z", 16).moved(0, -0.43 * h, 0.05), colours.light)]
    parts += [(box((0.25 * w, 0.03, 0.03), (0, 0.45 * h, 0.05)), colours.light)]
    accents = (colours.warm, colours.body, colours.second)
    for i in range(4):
        for j in range(3):
            at = ((j - 1) * 0.27 * w, (i - 1.4) * 0.17 * h, 0.075)
            parts.append((box((0.16 * w, 0.16 * w, 0.03), at), accents[(i + j) % 3]))
    for shell, colour in parts:
        phone.add(shell.turned("x", -35), colour)
    return phone


def flip(rng: Generator, colours: Colours) -> Assembly:
    """Two halves at an angle: keys below, a small screen above."""
    phone, w, h = Assembly(), rng.uniform(0.42, 0.5), rng.uniform(0.75, 0.85)
    phone.add(rounded_box((w, 0.12, h), 0.04, (0, 0, h / 2)), colours.body)
    _keys(phone, colours, 0.13, 0.06, 0.55 * h, 0.0)
    phone.add(disc(0.09, 0.9 * w, "x").moved(0, 0.04, 0), colours.dark)
    lean = rng.uniform(-40, -25)
    phone.add(rounded_box((w, h, 0.12), 0.04, (0, h / 2, 0)).turned("x", lean), colours.body)
    phone.add(box((0.76 * w, 0.55 * h, 0.04), (0, 0.55 * h, 0.06)).turned("x", lean), colours.glass)
    phone.add(cylinder(0.035, 0.22).moved(0.35 * w, h, 0).turned("x", lean), colours.dark)
    return phone


STYLES = (desk_set, candlestick, cordless, smartphone, flip)
