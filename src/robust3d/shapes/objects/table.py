"""Tables: on four legs, on a pedestal, on trestles, a coffee table, a desk with drawers."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, cylinder, rod, tube

Generator = np.random.Generator


def four_legs(rng: Generator, colours: Colours) -> Assembly:
    """A rectangular top on an apron and four square legs, or on four splayed, tapering ones."""
    table, w, d = Assembly(), rng.uniform(1.2, 1.8), rng.uniform(0.75, 1.0)
    h = rng.uniform(0.7, 0.85)
    table.add(box((w, 0.08, d), (0, h, 0)), colours.body)
    splayed = rng.random() < 0.4
    if not splayed:
        table.add(box((0.88 * w, 0.1, 0.84 * d), (0, h - 0.07, 0)), colours.second)
    for z in (-1, 1):
        x, inset = w / 2 - 0.1, z * (d / 2 - 0.1)
        if splayed:
            leg = tube([(0.82 * x, h, 0.82 * inset), (1.05 * x, 0, 1.08 * inset)], (0.075, 0.045), 10)
        else:
            leg = box((0.1, h, 0.1), (x, h / 2, inset))
        table.pair(leg, colours.second)
    return table


def pedestal(rng: Generator, colours: Colours) -> Assembly:
    """A round top on a column with a round or crossed foot."""
    table, r, h = Assembly(), rng.uniform(0.55, 0.75), rng.uniform(0.75, 0.95)
    table.add(cylinder(r, 0.07, 28).moved(y=h), colours.body)
    table.add(cylinder(0.08, h), colours.second)
    if rng.random() < 0.5:
        table.add(cylinder(0.6 * r, 0.06, 24), colours.second)
    else:
        table.around(rod((0, 0.16, 0), (0, 0.03, 0.8 * r), 0.06), colours.second, 4)
    return table


def trestles(rng: Generator, colours: Colours) -> Assembly:
    """A long top on two pairs of crossed legs."""
    table, w, d, h = Assembly(), rng.uniform(1.5, 1.9), rng.uniform(0.7, 0.85), rng.uniform(0.72, 0.82)
    table.add(box((w, 0.07, d), (0, h, 0)), colours.body)
    x = w / 2 - 0.22
    for side in (-1, 1):
        table.add(rod((side * x, 0, -0.42 * d), (side * x, h, 0.36 * d), 0.07, 4), colours.second)
        table.add(rod((side * x, 0, 0.42 * d), (side * x, h, -0.36 * d), 0.07, 4), colours.second)
    table.add(box((2 * x, 0.08, 0.07), (0, h / 2, 0)), colours.second)
    return table


def coffee(rng: Generator, colours: Colours) -> Assembly:
    """Low, with a second shelf below the top."""
    table, w, d, h = Assembly(), rng.uniform(1.1, 1.5), rng.uniform(0.65, 0.85), rng.uniform(0.42, 0.52)
    table.add(box((w, 0.07, d), (0, h, 0)), colours.body)
    table.add(box((0.86 * w, 0.05, 0.84 * d), (0, 0.16, 0)), colours.second)
    for z in (-1, 1):
        table.pair(box((0.09, h, 0.09), (w / 2 - 0.09, h / 2, z * (d / 2 - 0.09))), colours.second)
    return table


def desk(rng: Generator, colours: Colours) -> Assembly:
    """Drawers under one end, two legs at the other."""
    table, w, d, h = Assembly(), rng.uniform(1.3, 1.6), rng.uniform(0.65, 0.8), rng.uniform(0.72, 0.8)
    table.add(box((w, 0.07, d), (0, h, 0)), colours.body)
    side = 1 if rng.random() < 0.5 else -1
    x = side * (w / 2 - 0.24)
    table.add(box((0.4, h - 0.12, 0.9 * d), (x, h / 2 + 0.04, 0)), colours.second)
    for k in range(3):
        table.add(box((0.32, 0.15, 0.05), (x, 0.2 + 0.2 * k, 0.46 * d)), colours.light)
    for z in (-1, 1):
        table.add(box((0.08, h, 0.08), (-side * (w / 2 - 0.08), h / 2, z * (d / 2 - 0.08))), colours.second)
    return table


STYLES = (four_legs, pedestal, trestles, coffee, desk)
