"""Polygons become triangles that cover exactly them, concave ones too.

Triangles that are cut from a polygon one after the other and all turn the way the polygon does cover each point as
often as the polygon winds around it: once inside a polygon that does not cross itself, never outside. So it is enough
to find cuts whose triangles all turn that way; where there are none, the polygon crosses itself.
"""

import numpy as np
from numpy.typing import NDArray

MOST_CORNERS = 1000  # of a polygon that no fan covers: cutting ears takes the square of their number
_FANS = 8  # corners from which a fan is tried; one of the first two does for any quadrilateral
_ROUNDING = 1e-13  # of an area, as a share of the square of the polygon's size


class CrossedPolygon(ValueError):
    """A polygon that no triangles cover exactly.

    Attributes:
        place: its row among the polygons.
    """

    def __init__(self, place: int) -> None:
        super().__init__(f"polygon {place} crosses itself")
        self.place = place


def triangulate(
    vertices: NDArray[np.float64], corners: NDArray[np.int64], crossed: list[int] | None = None
) -> NDArray[np.int64]:
    """Triangles that cover polygons of equally many corners.

    Args:
        vertices: (V, 3).
        corners: (P, n) vertex indices in order, n >= 3; polygons may be concave, and need not be quite flat: what
            counts is their view along their mean normal.
        crossed: is given the rows of polygons that no triangles cover exactly, which become fans from their first
            corner, as most programs draw them; None: they are an error.

    Returns:
        (P, n - 2, 3) vertex indices, turning the way the polygons do; some triangles may have no area.

    Raises:
        CrossedPolygon: one crosses itself, or is concave with more than `MOST_CORNERS` corners, and `crossed` is None.
    """
    polygons, n = corners.shape
    triangles = _fan(corners, 0)
    if n == 3 or not polygons:
        return triangles
    left = np.arange(polygons)
    for start in range(min(n, _FANS)):
        fans = _fan(corners[left], start)
        triangles[left] = fans
        left = left[~_all_turn_alike(vertices[corners[left]], vertices[fans])]
        if not len(left):
            return triangles
    for place in left:
        flat = _flattened(vertices[corners[place]]) if n <= MOST_CORNERS else None
        cut = None if flat is None else _cut_ears(flat)
        if cut is not None:
            triangles[place] = corners[place][cut]
        elif crossed is None:
            raise CrossedPolygon(int(place))
        else:
            crossed.append(int(place))
            triangles[place] = _fan(corners[place][None], 0)[0]
    return triangles


def _fan(corners: NDArray[np.int64], start: int) -> NDArray[np.int64]:
    """(P, n - 2, 3) triangles from one corner to all edges that it is not part of."""
    turned = np.roll(corners, -start, axis=1)
    first = np.broadcast_to(turned[:, :1], turned[:, 2:].shape)
    return np.stack([first, turned[:, 1:-1], turned[:, 2:]], axis=2)


def _size(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…,) the longest side of the boxes of points (…, n, d)."""
    extent: NDArray[np.float64] = np.ptp(points, axis=-2).max(axis=-1)
    return extent


def _all_turn_alike(points: NDArray[np.float64], fans: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(P,) whether no triangle of a polygon (P, n, 3) turns against it; so it is where all of them are lines."""
    areas = np.cross(fans[:, :, 1] - fans[:, :, 0], fans[:, :, 2] - fans[:, :, 0])
    normal = areas.sum(axis=1)  # the polygon's own, whatever triangles it is made of
    length = np.linalg.norm(normal, axis=1)
    slack = _ROUNDING * points.shape[1] * _size(points) ** 2
    along = (areas * normal[:, None]).sum(axis=2) / np.where(length > 0, length, 1)[:, None]
    lines = (np.linalg.norm(areas, axis=2) <= slack[:, None]).all(axis=1)
    return lines | ((length > slack) & (along >= -slack[:, None]).all(axis=1))


def _flattened(points: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(n, 2) the polygon (n, 3) seen along its mean normal, turning to the left; None if it has none, like an 8."""
    centred = points - points.mean(axis=0)
    normal = np.cross(centred, np.roll(centred, -1, axis=0)).sum(axis=0)  # twice the area, in its direction (Newell)
    length = np.linalg.norm(normal)
    if length <= _ROUNDING * len(points) * _size(points) ** 2:
        return None
    normal /= length
    right = np.cross(np.eye(3)[np.abs(normal).argmin()], normal)
    right /= np.linalg.norm(right)
    flat: NDArray[np.float64] = centred @ np.stack([right, np.cross(normal, right)], axis=1)
    return flat


def _cut_ears(points: NDArray[np.float64]) -> list[list[int]] | None:
    """The n - 2 triangles of a polygon (n, 2) that turns to the left; None if it crosses itself.

    An ear is a corner that turns to the left and whose triangle holds no other corner. A corner without area, on a
    straight edge, at the tip of a spike or standing twice, goes first: it blocks nothing then.
    """
    slack = _ROUNDING * len(points) * float(_size(points)) ** 2
    ring, triangles, at, tried = list(range(len(points))), [], 0, 0
    while len(ring) > 3:
        at %= len(ring)
        triangle = [ring[at - 1], ring[at], ring[(at + 1) % len(ring)]]
        area = _turn(*points[triangle])
        if abs(area) <= slack or (area > 0 and not _holds_any(points[triangle], points[ring], slack)):
            triangles.append(triangle)
            del ring[at]
            at, tried = at - 1, 0
        elif tried == len(ring):
            return None
        else:
            at, tried = at + 1, tried + 1
    triangles.append(ring)
    return triangles if _turn(*points[ring]) >= -slack else None


def _turn(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    """Twice the signed area of a triangle, positive to the left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _holds_any(triangle: NDArray[np.float64], points: NDArray[np.float64], slack: float) -> bool:
    """Whether a triangle holds a point, its border counted, its corners and what coincides with them not."""
    inside = np.ones(len(points), bool)
    for a, b in zip(triangle, np.roll(triangle, -1, axis=0), strict=True):
        side = (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0])
        inside &= (side >= -slack) & (points != a).any(axis=1)
    return bool(inside.any())
