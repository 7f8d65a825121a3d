"""Cars: sedan, hatchback, van, pickup. The front looks along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, disc, extrude

Generator = np.random.Generator
Outline = list[tuple[float, float]]


def _wheels(car: Assembly, colours: Colours, width: float, front: float, rear: float, radius: float) -> None:
    for z in (front, rear):
        car.pair(disc(radius, 0.16, "x", 24).moved(width / 2 - 0.04, radius, z), colours.dark)
        car.pair(disc(0.55 * radius, 0.19, "x", 16).moved(width / 2 - 0.04, radius, z), colours.light)


def _lights(car: Assembly, colours: Colours, width: float, front: float, rear: float, y: float) -> None:
    car.pair(box((0.2, 0.1, 0.06), (0.32 * width, y, front)), colours.light)
    car.pair(box((0.2, 0.1, 0.06), (0.34 * width, y, rear)), colours.warm)


def _car(colours: Colours, rng: Generator, lower: Outline, cabin: Outline, roof: Outline) -> Assembly:
    car, width, radius = Assembly(), rng.uniform(0.8, 0.9), rng.uniform(0.17, 0.2)
    car.add(extrude(lower, width, "x", 0.03), colours.body)
    car.add(extrude(cabin, 0.86 * width, "x", 0.05), colours.glass)
    car.add(extrude(roof, 0.84 * width, "x", 0.03), colours.body)
    front, rear = max(z for z, _ in lower), min(z for z, _ in lower)
    _wheels(car, colours, width, 0.62 * front, 0.62 * rear, radius)
    _lights(car, colours, width, front, rear, 0.38)
    return car


def sedan(rng: Generator, colours: Colours) -> Assembly:
    """Bonnet, cabin and boot."""
    h = rng.uniform(0.74, 0.82)
    lower = [(-1.0, 0.15), (1.0, 0.15), (1.0, 0.42), (0.5, 0.5), (-0.65, 0.52), (-1.0, 0.48)]
    cabin = [(-0.7, 0.48), (0.5, 0.46), (0.2, h), (-0.4, h)]
    return _car(colours, rng, lower, cabin, _roof(0.2, -0.4, h))


def hatchback(rng: Generator, colours: Colours) -> Assembly:
    """A short bonnet and a steep rear."""
    h = rng.uniform(0.78, 0.88)
    lower = [(-0.85, 0.15), (0.85, 0.15), (0.85, 0.42), (0.45, 0.5), (-0.85, 0.52)]
    cabin = [(-0.84, 0.5), (0.48, 0.48), (0.15, h), (-0.65, h)]
    return _car(colours, rng, lower, cabin, _roof(0.15, -0.65, h))


def van(rng: Generator, colours: Colours) -> Assembly:
    """A tall box with windows in front and at the sides."""
    h = rng.uniform(0.95, 1.1)
    lower = [(-1.0, 0.15), (1.0, 0.15), (1.0, 0.45), (0.85, 0.55), (-1.0, 0.58)]
    cabin = [(-0.98, 0.56), (0.86, 0.54), (0.55, h), (-0.96, h)]
    return _car(colours, rng, lower, cabin, _roof(0.55, -0.98, h, 0.12))


def pickup(rng: Generator, colours: Colours) -> Assembly:
    """A cabin and an open bed behind it."""
    h, width = rng.uniform(0.82, 0.92), 0.88
    lower = [(-1.1, 0.18), (1.0, 0.18), (1.0, 0.46), (0.5, 0.54), (-1.1, 0.42)]
    cabin = [(-0.15, 0.46), (0.52, 0.5), (0.25, h), (-0.12, h)]
    car = _car(colours, rng, lower, cabin, _roof(0.25, -0.14, h))
    car.pair(box((0.07, 0.2, 0.95), (width / 2 - 0.05, 0.5, -0.62)), colours.body)
    car.add(box((width, 0.2, 0.07), (0, 0.5, -1.08)), colours.body)
    car.add(box((width - 0.1, 0.03, 0.9), (0, 0.44, -0.62)), colours.dark)
    return car


def _roof(front: float, rear: float, height: float, thickness: float = 0.05) -> Outline:
    return [
        (rear - 0.02, height - 0.02),
        (front + 0.02, height - 0.02),
        (front, height + thickness),
        (rear, height + thickness),
    ]


STYLES = (sedan, hatchback, van, pickup)
