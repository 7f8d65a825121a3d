"""Displays: monitor on a stand, television on feet, wide curved monitor, tube. The screen looks along +z."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, cylinder, extrude, frustum, rounded_box, slab

Generator = np.random.Generator


def _panel(display: Assembly, colours: Colours, w: float, h: float, y: float, bezel: float) -> None:
    # The body's colour frames the screen: the palette keeps those two apart.
    display.add(rounded_box((w, h, 0.1), 0.02, (0, y, 0)), colours.body)
    display.add(box((w - 2 * bezel, h - 2 * bezel, 0.03), (0, y, 0.045)), colours.glass)
    _vents(display, colours, 0.5 * w, 0.45 * h, y, -0.06)


def _vents(display: Assembly, colours: Colours, w: float, h: float, y: float, z: float) -> None:
    """A box of electronics with slots, which tells the back from a board."""
    display.add(box((w, h, 0.08), (0, y, z)), colours.body)
    for k in (-1, 0, 1):
        display.add(box((0.8 * w, 0.12 * h, 0.04), (0, y + 0.27 * k * h, z - 0.035)), colours.dark)


def monitor(rng: Generator, colours: Colours) -> Assembly:
    """A panel on a neck and a foot."""
    display, w = Assembly(), rng.uniform(1.1, 1.4)
    h = w * rng.uniform(0.55, 0.68)
    y = 0.3 + h / 2
    _panel(display, colours, w, h, y, 0.07)
    display.add(box((0.16, 0.5, 0.09), (0, 0.25, -0.1)), colours.light)
    if rng.random() < 0.5:
        display.add(cylinder(0.3, 0.05), colours.light)
    else:
        display.add(box((0.6, 0.05, 0.34), (0, 0.025, 0)), colours.light)
    return display


def television(rng: Generator, colours: Colours) -> Assembly:
    """A wide panel on two feet."""
    display, w = Assembly(), rng.uniform(1.5, 1.8)
    h = 0.56 * w
    _panel(display, colours, w, h, 0.16 + h / 2, 0.07)
    display.pair(extrude([(-0.22, 0), (0.22, 0), (0.04, 0.2), (-0.04, 0.2)], 0.08, "x").moved(0.33 * w), colours.light)
    return display


def curved(rng: Generator, colours: Colours) -> Assembly:
    """A very wide panel bent towards the viewer."""
    display, w, h = Assembly(), rng.uniform(1.6, 1.9), rng.uniform(0.62, 0.74)
    for grow, z, colour in ((1.0, 0.0, colours.body), (0.92, 0.035, colours.glass)):
        x = np.linspace(-grow * w / 2, grow * w / 2, 13)
        bend = 0.28 * (x / (w / 2)) ** 2 + z
        ys = 0.3 + h / 2 + np.array([-0.5, 0.5]) * (h - 0.14 * (grow < 1))
        grid = np.array([[(a, y, b) for a, b in zip(x, bend)] for y in ys])
        display.add(slab(grid, 0.06), colour)
    _vents(display, colours, 0.3 * w, 0.5 * h, 0.3 + h / 2, -0.05)
    display.add(box((0.14, 0.5, 0.09), (0, 0.25, -0.09)), colours.light)
    display.pair(box((0.5, 0.07, 0.09), (0.2, 0.035, 0)).turned("y", -25), colours.light)
    return display


def tube(rng: Generator, colours: Colours) -> Assembly:
    """The old deep monitor with a swelling back."""
    display, w = Assembly(), rng.uniform(0.85, 1.0)
    h = 0.85 * w
    y = 0.12 + h / 2
    display.add(rounded_box((w, h, 0.34), 0.05, (0, y, 0.1)), colours.body)
    back = frustum(0.62 * w, 0.36 * w, 0.5, 4).turned("y", 45).turned("x", -90).moved(0, y, -0.05)
    display.add(back, colours.body)
    for k in range(4):
        display.add(box((0.4 * w, 0.06, 0.04), (0, y + 0.11 * (k - 1.5), -0.55)), colours.dark)
    display.add(box((0.8 * w, 0.72 * h, 0.05), (0, y + 0.03, 0.26)), colours.glass)
    display.add(cylinder(0.3, 0.12), colours.dark)
    return display


STYLES = (monitor, television, curved, tube)
