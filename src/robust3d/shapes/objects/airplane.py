"""Airplanes: airliner, business jet, propeller plane, fighter, biplane. The nose points along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import blade, body, box, disc, ellipsoid, rod

Generator = np.random.Generator


def _fuselage(plane: Assembly, colours: Colours, length: float, radius: float) -> None:
    half = length / 2
    plane.add(
        body(
            [
                (-half, 0.15 * radius, 0.5 * radius, 0.9 * radius),
                (-0.55 * half, 0.7 * radius, -0.5 * radius, radius),
                (-0.2 * half, radius, -radius, radius),
                (0.6 * half, radius, -radius, radius),
                (0.86 * half, 0.7 * radius, -0.75 * radius, 0.65 * radius),
                (half, 0.15 * radius, -0.3 * radius, 0.05 * radius),
            ]
        ),
        colours.body,
    )
    plane.add(ellipsoid((0.7 * radius, 0.5 * radius, 1.1 * radius), (0, 0.6 * radius, 0.72 * half)), colours.glass)


def _tail(plane: Assembly, colours: Colours, length: float, span: float, height: float, on_top: bool) -> None:
    z = -0.43 * length
    plane.add(blade((0, 0.02, z), (0, height, z - 0.1), 0.22, 0.13, 0.12, (1, 0, 0)), colours.second)
    y = height if on_top else 0.04
    plane.pair(blade((0, y, z - 0.04), (span, y, z - 0.12), 0.17, 0.09), colours.second)


def airliner(rng: Generator, colours: Colours) -> Assembly:
    """Low swept wings with engines below them."""
    plane, span, sweep = Assembly(), rng.uniform(0.75, 0.95), rng.uniform(0.25, 0.4)
    _fuselage(plane, colours, 2.0, rng.uniform(0.12, 0.15))
    plane.pair(blade((0, -0.05, 0.12), (span, 0.05, 0.12 - sweep), 0.42, 0.16, 0.14), colours.body)
    for place in (0.35, 0.62)[: int(rng.integers(1, 3))]:
        at = (place * span, -0.12, 0.2 - 0.8 * place * sweep)
        plane.pair(disc(0.075, 0.26, "z").moved(*at), colours.second)
    _tail(plane, colours, 2.0, rng.uniform(0.3, 0.38), rng.uniform(0.38, 0.48), False)
    return plane


def business_jet(rng: Generator, colours: Colours) -> Assembly:
    """Engines at the rear, tail plane on top of the fin."""
    plane, span = Assembly(), rng.uniform(0.65, 0.8)
    _fuselage(plane, colours, 1.7, rng.uniform(0.12, 0.14))
    plane.pair(blade((0, -0.06, 0.0), (span, 0.03, -0.22), 0.38, 0.14, 0.14), colours.second)
    plane.pair(disc(0.075, 0.32, "z").moved(0.2, 0.1, -0.45), colours.light)
    _tail(plane, colours, 1.7, 0.34, rng.uniform(0.4, 0.48), True)
    return plane


def propeller(rng: Generator, colours: Colours) -> Assembly:
    """Straight wings on top of the cabin, a propeller, fixed wheels."""
    plane, span = Assembly(), rng.uniform(0.8, 1.0)
    _fuselage(plane, colours, 1.4, 0.14)
    plane.add(box((2 * span, 0.05, rng.uniform(0.26, 0.34)), (0, 0.19, 0.15)), colours.second)
    plane.pair(rod((0.1, -0.08, 0.15), (0.5 * span, 0.17, 0.15), 0.035), colours.light)
    _propeller(plane, colours, 0.72, rng.uniform(0.24, 0.32))
    plane.pair(rod((0.06, -0.1, 0.25), (0.2, -0.26, 0.25), 0.035), colours.light)
    plane.pair(disc(0.07, 0.06, "x").moved(0.2, -0.28, 0.25), colours.dark)
    _tail(plane, colours, 1.4, 0.33, 0.33, False)
    return plane


def fighter(rng: Generator, colours: Colours) -> Assembly:
    """Delta wings close to the tail, one or two fins."""
    plane, span = Assembly(), rng.uniform(0.55, 0.7)
    _fuselage(plane, colours, 1.8, 0.12)
    plane.pair(blade((0, 0.0, -0.2), (span, 0.0, -0.5), 0.95, 0.18, 0.07), colours.body)
    if rng.random() < 0.5:
        plane.pair(blade((0.14, 0.05, -0.6), (0.24, 0.4, -0.72), 0.3, 0.15, 0.1, (1, 0, 0)), colours.second)
    else:
        plane.add(blade((0, 0.05, -0.6), (0, 0.45, -0.78), 0.42, 0.16, 0.1, (1, 0, 0)), colours.second)
    plane.pair(blade((0.1, 0.02, 0.38), (0.3, 0.02, 0.28), 0.18, 0.07), colours.second)
    plane.pair(rod((span, 0, -0.7), (span, 0, -0.2), 0.04), colours.warm)
    return plane


def biplane(rng: Generator, colours: Colours) -> Assembly:
    """Two wings above each other, held by struts."""
    plane, span = Assembly(), rng.uniform(0.7, 0.85)
    _fuselage(plane, colours, 1.3, 0.13)
    for y in (-0.1, 0.28):
        plane.add(box((2 * span, 0.045, 0.28), (0, y, 0.22)), colours.second)
    for x in (0.2, 0.8 * span):
        plane.pair(rod((x, -0.1, 0.3), (x, 0.28, 0.3), 0.035), colours.light)
        plane.pair(rod((x, -0.1, 0.14), (x, 0.28, 0.14), 0.035), colours.light)
    _propeller(plane, colours, 0.67, 0.25)
    plane.pair(disc(0.08, 0.06, "x").moved(0.18, -0.26, 0.3), colours.dark)
    _tail(plane, colours, 1.3, 0.32, 0.3, False)
    return plane


def _propeller(plane: Assembly, colours: Colours, z: float, radius: float) -> None:
    plane.add(ellipsoid((0.06, 0.06, 0.08), (0, 0, z)), colours.warm)
    plane.add(box((0.08, 2 * radius, 0.04), (0, 0, z + 0.02)), colours.dark)


STYLES = (airliner, business_jet, propeller, fighter, biplane)
