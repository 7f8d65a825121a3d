"""Lamps: floor lamp, table lamp, desk lamp, hanging lamp."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import cylinder, ellipsoid, frustum, lathe, rod

Generator = np.random.Generator


def floor_lamp(rng: Generator, colours: Colours) -> Assembly:
    """A tall pole with a shade on top."""
    lamp, height, shade = Assembly(), rng.uniform(1.3, 1.6), rng.uniform(0.34, 0.42)
    lamp.add(cylinder(rng.uniform(0.2, 0.26), 0.06), colours.second)
    lamp.add(cylinder(0.055, height), colours.second)
    lamp.add(
        frustum(shade, rng.uniform(0.5, 0.8) * shade, rng.uniform(0.35, 0.45)).moved(y=height - 0.1),
        colours.warm,
    )
    return lamp


def table_lamp(rng: Generator, colours: Colours) -> Assembly:
    """A turned body with a wide shade."""
    lamp, belly, shade = Assembly(), rng.uniform(0.16, 0.24), rng.uniform(0.34, 0.42)
    profile = [(0.2, 0), (0.2, 0.05), (0.07, 0.1), (belly, 0.25), (belly, 0.38), (0.05, 0.55), (0.05, 0.8)]
    lamp.add(lathe(profile), colours.body)
    lamp.add(frustum(shade, rng.uniform(0.45, 0.7) * shade, rng.uniform(0.36, 0.45)).moved(y=0.62), colours.warm)
    return lamp


def desk_lamp(rng: Generator, colours: Colours) -> Assembly:
    """A jointed arm that carries a reflector."""
    lamp, reach, lift = Assembly(), rng.uniform(0.2, 0.35), rng.uniform(0.5, 0.65)
    elbow, head = (0, lift, -reach), (0, lift + rng.uniform(0.15, 0.35), rng.uniform(0.25, 0.4))
    lamp.add(cylinder(0.24, 0.06), colours.body)
    lamp.add(rod((0, 0.05, 0), elbow, 0.04), colours.body)
    lamp.add(rod(elbow, head, 0.04), colours.body)
    lamp.add(ellipsoid((0.06, 0.06, 0.06), elbow, 10), colours.light)
    shade = frustum(0.22, 0.07, 0.3).moved(y=-0.3).turned("x", rng.uniform(-35, -10))
    lamp.add(shade.moved(*head), colours.warm)
    return lamp


def hanging(rng: Generator, colours: Colours) -> Assembly:
    """A cable from the ceiling with a bell or a globe."""
    lamp, drop = Assembly(), rng.uniform(0.7, 1.0)
    lamp.add(cylinder(0.14, 0.06).moved(y=drop + 0.3), colours.second)
    lamp.add(cylinder(0.045, drop).moved(y=0.32), colours.dark)
    if rng.random() < 0.5:
        bell = [(0.42, 0), (0.38, 0.12), (0.26, 0.25), (0.1, 0.34)]
        lamp.add(lathe(bell), colours.warm)
        lamp.add(ellipsoid((0.14, 0.14, 0.14), (0, 0, 0), 12), colours.light)
    else:
        lamp.add(ellipsoid((0.3, 0.3, 0.3), (0, 0.05, 0)), colours.warm)
        lamp.add(cylinder(0.1, 0.1).moved(y=0.3), colours.second)
    return lamp


STYLES = (floor_lamp, table_lamp, desk_lamp, hanging)
