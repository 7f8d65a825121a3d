"""Loudspeakers: tower, bookshelf box, studio monitor, stage box, centre speaker. The cones look along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import (
    Floats,
    box,
    cylinder,
    disc,
    ellipsoid,
    frustum,
    lathe,
    rounded_box,
    torus,
)

Generator = np.random.Generator


def _cone(speaker: Assembly, colours: Colours, radius: float, y: float, z: float, x: float = 0.0) -> None:
    """A driver: a pale ring around a dark dish with a dome in its middle."""
    # The pale ring is what tells a loudspeaker from a cabinet at 32 px, whatever the colour of the box.
    speaker.add(torus(0.92 * radius, 0.15 * radius).turned("x", 90).moved(x, y, z + 0.02), colours.light)
    profile = [(0, -0.1), (0.92, -0.1), (0.92, 0.16), (0.8, 0.2), (0.34, 0.02), (0, 0.02)]
    dish = lathe(radius * np.array(profile), 24).turned("x", 90)
    speaker.add(dish.moved(x, y, z), colours.dark)
    dome = 0.3 * radius
    speaker.add(ellipsoid((dome, dome, 0.5 * dome), (x, y, z + 0.03 * radius), 12), colours.light)


def _back(speaker: Assembly, colours: Colours, w: float, y: float, z: float) -> None:
    """What a loudspeaker shows from behind: the mouth of the bass port and a plate with two terminals."""
    port = 0.22 * w
    speaker.add(torus(port, 0.25 * port).turned("x", 90).moved(0, y, z), colours.light)
    speaker.add(disc(port, 0.03, "z", 20).moved(0, y, z), colours.dark)
    speaker.add(box((0.44 * w, 0.26 * w, 0.04), (0, y - 0.52 * w, z)), colours.dark)
    speaker.pair(disc(0.06 * w, 0.12, "z", 10).moved(0.11 * w, y - 0.52 * w, z), colours.warm)


def tower(rng: Generator, colours: Colours) -> Assembly:
    """Tall on a plinth, three or four drivers above each other, often narrower at the back."""
    speaker, w, count = Assembly(), rng.uniform(0.46, 0.56), int(rng.integers(2, 4))
    radius, tweeter = 0.42 * w, 0.24 * w
    pitch = 2.35 * radius
    h, d = 0.2 + pitch * count + 2.6 * tweeter, w * rng.uniform(0.9, 1.15)
    back = rng.uniform(0.6, 1.0)

    def taper(p: Floats) -> Floats:
        p[:, 0] *= 1.0 - (1.0 - back) * (0.5 - p[:, 2] / d)
        return p

    speaker.add(rounded_box((w, h, d), 0.05, (0, h / 2, 0)).warped(taper), colours.body)
    speaker.add(box((1.35 * w, 0.08, 1.2 * d), (0, 0.02, 0)), colours.dark)
    for k in range(count):
        _cone(speaker, colours, radius, 0.14 + radius + k * pitch, d / 2)
    _cone(speaker, colours, tweeter, h - 1.35 * tweeter, d / 2)
    _back(speaker, colours, 0.9 * w, 0.55 * h, -d / 2)
    return speaker


def bookshelf(rng: Generator, colours: Colours) -> Assembly:
    """A compact box with a woofer and a tweeter, its front in a second colour."""
    speaker, w = Assembly(), rng.uniform(0.62, 0.74)
    h, d = w * rng.uniform(1.45, 1.75), w * rng.uniform(0.75, 1.0)
    speaker.add(rounded_box((w, h, d), 0.03, (0, h / 2, 0)), colours.body)
    speaker.add(box((0.94 * w, 0.96 * h, 0.06), (0, h / 2, d / 2)), colours.second)
    _cone(speaker, colours, 0.43 * w, 0.5 * w, d / 2 + 0.03)
    _cone(speaker, colours, 0.22 * w, h - 0.27 * w, d / 2 + 0.03)
    _back(speaker, colours, w, 0.66 * h, -d / 2)
    return speaker


def studio(rng: Generator, colours: Colours) -> Assembly:
    """A box that narrows towards the top, with a port slot below the drivers."""
    speaker, w = Assembly(), rng.uniform(0.7, 0.82)
    h, d = w * rng.uniform(1.4, 1.6), w * rng.uniform(0.75, 0.9)
    narrow = rng.uniform(0.7, 0.95)

    def taper(p: Floats) -> Floats:
        p[:, 0] *= 1.0 - (1.0 - narrow) * p[:, 1] / h
        return p

    speaker.add(rounded_box((w, h, d), 0.06, (0, h / 2, 0)).warped(taper), colours.body)
    speaker.add(box((0.6 * w, 0.09 * w, 0.06), (0, 0.1 * w, d / 2)), colours.dark)
    _cone(speaker, colours, 0.4 * w, 0.6 * w, d / 2)
    _cone(speaker, colours, 0.2 * w, h - 0.27 * w, d / 2)
    _back(speaker, colours, 0.9 * w, 0.66 * h, -d / 2)
    return speaker


def stage(rng: Generator, colours: Colours) -> Assembly:
    """A box on a stand with one huge driver and a horn, handles at the sides."""
    speaker, w = Assembly(), rng.uniform(0.7, 0.8)
    h, d = w * rng.uniform(1.4, 1.6), w * rng.uniform(0.6, 0.75)
    low = 0.5 if rng.random() < 0.5 else 0.0
    speaker.add(box((w, h, d), (0, low + h / 2, 0)), colours.body)
    _cone(speaker, colours, 0.44 * w, low + 0.5 * w, d / 2)
    horn = frustum(0.1 * w, 0.27 * w, 0.12, 4).turned("y", 45).turned("x", 90).stretched(x=1.6)
    speaker.add(horn.moved(0, low + h - 0.22 * w, d / 2 - 0.04), colours.light)
    mouth = box((0.46 * w, 0.26 * w, 0.04), (0, low + h - 0.22 * w, d / 2 + 0.07))
    speaker.add(mouth, colours.dark)
    speaker.pair(box((0.06, 0.08, 0.3), (w / 2 + 0.02, low + 0.7 * h, 0)), colours.light)
    _back(speaker, colours, w, low + 0.68 * h, -d / 2)
    if low:
        speaker.add(cylinder(0.06, low + 0.02), colours.dark)
        speaker.add(cylinder(0.42 * w, 0.06, 24), colours.dark)
    return speaker


def centre(rng: Generator, colours: Colours) -> Assembly:
    """A wide, low box with a tweeter between two woofers."""
    speaker, h = Assembly(), rng.uniform(0.55, 0.65)
    w, d = h * rng.uniform(2.3, 2.6), h * rng.uniform(0.7, 0.9)
    speaker.add(rounded_box((w, h, d), 0.05, (0, h / 2, 0)), colours.body)
    for x in (-0.3 * w, 0.3 * w):
        _cone(speaker, colours, 0.42 * h, 0.5 * h, d / 2, x)
    _cone(speaker, colours, 0.24 * h, rng.uniform(0.35, 0.65) * h, d / 2)
    speaker.pair(box((0.1, 0.1, 0.9 * d), (0.35 * w, -0.02, 0)), colours.dark)
    _back(speaker, colours, 0.9 * h, 0.7 * h, -d / 2)
    return speaker


STYLES = (tower, bookshelf, studio, stage, centre)
