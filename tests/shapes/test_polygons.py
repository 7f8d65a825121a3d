"""Triangles of a polygon cover it exactly: the same area by the shoelace formula, the same points by ray casting."""

import numpy as np
import pytest
import trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from robust3d.shapes.polygons import CrossedPolygon, triangulate

RNG = np.random.default_rng(5)


def shoelace(points):
    x, y = points.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def star(n):
    """Around the origin, in and out."""
    angle, radius = 2 * np.pi * (np.arange(n) + 0.9 * RNG.random(n)) / n, RNG.uniform(0.2, 1, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def comb(teeth):
    points = [(0, 0), (2 * teeth - 1, 0)]
    for tooth in reversed(range(teeth)):
        points += [(2 * tooth + 1, 0.1), (2 * tooth, 1 + RNG.random())]
    return np.array(points, float)


def spiral(n):
    turn = np.linspace(0.5, 6 * np.pi, n)
    rim = np.stack([np.cos(turn), np.sin(turn)], 1)
    return np.concatenate([rim * (turn + 1.5)[:, None], (rim * turn[:, None])[::-1]])


FRAME = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)]  # a hole, by a bridge
DART = [(0, 0), (4, 0), (1, 1), (0, 4)]
SHAPES = {
    "dart": DART,
    **{f"dart from corner {k}": DART[k:] + DART[:k] for k in (1, 2, 3)},
    "arrow": [(0, 0), (2, 1), (4, 0), (2, 4)],
    "frame": FRAME,
    "on straight edges": [(0, 0), (1, 0), (2, 0), (2, 2), (1, 2), (1, 1), (0, 1), (0, 0.5)],
    "a corner twice, and a spike": [(0, 0), (2, 0), (2, 0), (2, 2), (1, 0.5), (1, 9), (1, 0.5), (0, 2)],
    "comb": comb(20),
    "spiral": spiral(40),
    **{f"star {n}": star(n) for n in (5, 9, 30, 120)},
}


def inside(points, polygon):
    """Even-odd rule."""
    (x, y), found = points.T, np.zeros(len(points), bool)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0)):
        if ay != by:
            found ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return found


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_they_cover_what_the_polygon_covers(name, mirrored):
    flat = np.array(SHAPES[name], float) * ([-1, 1] if mirrored else 1)
    turned = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    vertices = np.c_[flat, np.zeros(len(flat))] @ turned.T
    (triangles,) = triangulate(vertices, np.arange(len(flat))[None])
    assert triangles.shape == (len(flat) - 2, 3)
    areas = np.array([shoelace(flat[triangle]) for triangle in triangles]) * (-1 if mirrored else 1)
    assert areas.min() > -1e-9 and areas.sum() == pytest.approx(abs(shoelace(flat)))
    # Rays straight at the plane hit one triangle inside the polygon and none outside.
    points = RNG.uniform(flat.min(0), flat.max(0), (2000, 2))
    caster = RayMeshIntersector(trimesh.Trimesh(np.c_[flat, np.zeros(len(flat))], triangles, process=False))
    _, ray, _ = caster.intersects_location(np.c_[points, np.ones(2000)], np.tile([0.0, 0, -1], (2000, 1)))
    assert (np.bincount(ray, minlength=2000) == inside(points, flat)).mean() > 0.999  # but for rounding at edges


def test_many_at_once_and_bent_ones():
    side = np.arange(30.0)
    x, y = np.meshgrid(side, side, indexing="ij")
    vertices = np.stack([x, y, np.sin(x) * np.cos(y)], -1).reshape(-1, 3)
    first = np.arange(900).reshape(30, 30)[:-1, :-1].ravel()
    corners = np.stack([first, first + 30, first + 31, first + 1], 1)
    triangles = triangulate(vertices, corners)
    np.testing.assert_array_equal(triangles[:, 0], corners[:, [0, 1, 2]])  # convex ones: the plain fan
    seen_from_above = vertices[triangles.reshape(-1, 3)][..., :2]
    assert all(shoelace(triangle) == pytest.approx(0.5) for triangle in seen_from_above)
    assert triangulate(np.zeros((4, 3)), np.arange(4)[None]).shape == (1, 2, 3)  # all in one point: no area, no harm


@pytest.mark.parametrize(
    "points",
    [
        [(0, 0), (1, 1), (1, 0), (0, 1)],  # both halves of the 8 as large
        [(0, 0), (2, 2), (2, 0), (0, 1)],
        [(0, 0), (4, 0), (4, 4), (2, -1), (0, 4)],
    ],
)
def test_what_crosses_itself_is_told(points):
    good = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0.5)][: len(points)]
    vertices = np.array([(*point, 0) for point in good + points], float)
    with pytest.raises(CrossedPolygon, match="polygon 1 ") as caught:
        triangulate(vertices, np.arange(2 * len(points)).reshape(2, -1))
    assert caught.value.place == 1
