"""Benches: long, low seats of slats, planks or stone, with and without a back."""

import numpy as np

from robust3d.shapes.objects.assembly import Assembly, Colours
from robust3d.shapes.primitives import box, rod

Generator = np.random.Generator


def _slats(bench: Assembly, colours: Colours, length: float, depth: float, count: int, y: float) -> None:
    pitch = depth / count
    for k in range(count):
        z = -depth / 2 + (k + 0.5) * pitch
        bench.add(box((length, 0.05, 0.72 * pitch), (0, y, z)), colours.body)


def park(rng: Generator, colours: Colours) -> Assembly:
    """Slatted seat and back between two frames, with or without arm rests."""
    bench, length, depth = Assembly(), rng.uniform(1.7, 2.2), rng.uniform(0.5, 0.6)
    _slats(bench, colours, length, depth, 3, 0.45)
    for k in range(int(rng.integers(2, 4))):
        bench.add(box((length, 0.13, 0.05), (0, 0.62 + 0.19 * k, -depth / 2 - 0.05 * k)), colours.body)
    x = length / 2 - 0.15
    bench.pair(box((0.08, 0.45, 0.08), (x, 0.225, depth / 2 - 0.06)), colours.second)
    bench.pair(rod((x, 0, -depth / 2 + 0.02), (x, 1.0, -depth / 2 - 0.12), 0.06, 4), colours.second)
    bench.pair(box((0.08, 0.07, depth), (x, 0.4, 0)), colours.second)
    if rng.random() < 0.6:
        bench.pair(box((0.08, 0.06, depth), (x, 0.72, 0)), colours.second)
        bench.pair(box((0.08, 0.3, 0.07), (x, 0.57, depth / 2 - 0.06)), colours.second)
    return bench


def plank(rng: Generator, colours: Colours) -> Assembly:
    """A backless seat on two trestles."""
    bench, length, depth = Assembly(), rng.uniform(1.8, 2.3), rng.uniform(0.38, 0.5)
    _slats(bench, colours, length, depth, int(rng.integers(2, 4)), 0.45)
    x = length / 2 - 0.3
    for side in (-1, 1):
        bench.add(rod((side * x, 0.43, -0.03), (side * x, 0, -depth / 2), 0.06, 4), colours.second)
        bench.add(rod((side * x, 0.43, 0.03), (side * x, 0, depth / 2), 0.06, 4), colours.second)
    bench.add(box((2 * x, 0.06, 0.06), (0, 0.22, 0)), colours.second)
    return bench


def stone(rng: Generator, colours: Colours) -> Assembly:
    """A thick slab on two blocks."""
    bench, length, depth = Assembly(), rng.uniform(1.6, 2.1), rng.uniform(0.42, 0.55)
    bench.add(box((length, 0.14, depth), (0, 0.45, 0)), colours.body)
    bench.pair(box((0.22, 0.4, 0.8 * depth), (length / 2 - 0.3, 0.2, 0)), colours.second)
    return bench


def pew(rng: Generator, colours: Colours) -> Assembly:
    """A solid back and solid side boards."""
    bench, length, depth = Assembly(), rng.uniform(1.7, 2.2), rng.uniform(0.48, 0.56)
    bench.add(box((length, 0.07, depth), (0, 0.42, 0)), colours.body)
    for y in (0.53, 0.86):
        bench.add(box((length, 0.24, 0.06), (0, y, -depth / 2)), colours.body)
    bench.pair(box((0.08, 0.7, depth), (length / 2, 0.35, 0)), colours.second)
    bench.pair(box((0.08, 1.05, 0.12), (length / 2, 0.52, -depth / 2)), colours.second)
    return bench


STYLES = (park, plank, stone, pew)
