"""Loudspeakers: tower, bookshelf box, studio monitor, public-address box. The cones look along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, disc, ellipsoid, extrude, frustum, rounded_box, torus

Generator = np.random.Generator


def _cone(speaker: Assembly, colours: Colours, radius: float, y: float, z: float) -> None:
    """A driver: a pale ring, a dark cone, a pale dome in its middle."""
    speaker.add(torus(radius, 0.16 * radius).turned("x", 90).moved(0, y, z), colours.light)
    speaker.add(disc(0.95 * radius, 0.05, "z", 24).moved(0, y, z), colours.dark)
    speaker.add(ellipsoid((0.32 * radius, 0.32 * radius, 0.2 * radius), (0, y, z + 0.03), 12), colours.warm)


def tower(rng: Generator, colours: Colours) -> Assembly:
    """Tall and slim on a plinth, three or four drivers."""
    speaker, w, h = Assembly(), rng.uniform(0.42, 0.5), rng.uniform(1.4, 1.7)
    d = rng.uniform(0.42, 0.55)
    speaker.add(box((w, h, d), (0, h / 2, 0)), colours.body)
    speaker.add(box((w + 0.16, 0.07, d + 0.16), (0, 0.03, 0)), colours.dark)
    radii = [0.42 * w] * int(rng.integers(2, 4)) + [0.2 * w]
    y = 0.14 + radii[0]
    for radius, following in zip(radii, [*radii[1:], 0.0]):
        _cone(speaker, colours, radius, y, d / 2)
        y += 1.2 * (radius + following)
    return speaker


def bookshelf(rng: Generator, colours: Colours) -> Assembly:
    """A compact box with a woofer and a tweeter."""
    speaker, w = Assembly(), rng.uniform(0.6, 0.7)
    h, d = w * rng.uniform(1.4, 1.65), w * rng.uniform(0.8, 1.0)
    speaker.add(rounded_box((w, h, d), 0.03, (0, h / 2, 0)), colours.body)
    _cone(speaker, colours, 0.42 * w, 0.48 * w, d / 2)
    _cone(speaker, colours, 0.2 * w, h - 0.3 * w, d / 2)
    return speaker


def studio(rng: Generator, colours: Colours) -> Assembly:
    """A wedge that tapers backwards, with a port below the drivers."""
    speaker, w = Assembly(), rng.uniform(0.66, 0.76)
    h = w * rng.uniform(1.4, 1.55)
    shape = [(-0.3, 0.05), (0.3, 0.0), (0.3, h), (-0.3, h - 0.16)]
    speaker.add(extrude(shape, w, "x", 0.02), colours.body)
    _cone(speaker, colours, 0.4 * w, 0.56 * w, 0.31)
    _cone(speaker, colours, 0.19 * w, h - 0.27 * w, 0.31)
    speaker.add(box((0.6 * w, 0.06, 0.05), (0, 0.07, 0.31)), colours.dark)
    return speaker


def stage(rng: Generator, colours: Colours) -> Assembly:
    """A box with one huge driver and a horn, handles at the sides."""
    speaker, w = Assembly(), rng.uniform(0.75, 0.85)
    h, d = w * rng.uniform(1.35, 1.6), w * 0.75
    speaker.add(box((w, h, d), (0, h / 2, 0)), colours.body)
    _cone(speaker, colours, 0.44 * w, 0.52 * w, d / 2)
    speaker.add(
        frustum(0.05, 0.2, 0.1, 4).turned("y", 45).turned("x", 90).moved(0, h - 0.2, d / 2), colours.light
    )
    speaker.pair(box((0.05, 0.08, 0.3), (w / 2 + 0.02, 0.7 * h, 0)), colours.light)
    return speaker


STYLES = (tower, bookshelf, studio, stage)
