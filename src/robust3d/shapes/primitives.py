"""Closed, outward wound building blocks for procedural meshes: boxes, lathed, lofted and extruded solids, tubes, slabs.

Every function returns one `Shell`: each edge is shared by two faces, no face has zero area, the volume is positive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Shell:
    """One closed surface: vertices (V, 3), faces (F, 3) counter-clockwise seen from outside."""

    vertices: Floats
    faces: Ints

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Shell":
        """Translated copy."""
        return Shell(self.vertices + np.array([x, y, z]), self.faces)

    def turned(self, axis: str, degrees: float) -> "Shell":
        """Copy rotated about a coordinate axis through the origin, right-handed."""
        i = AXES[axis]
        j, k = (i + 1) % 3, (i + 2) % 3
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        rotation = np.eye(3)
        rotation[j, j] = rotation[k, k] = cosine
        rotation[j, k], rotation[k, j] = -sine, sine
        return Shell(self.vertices @ rotation.T, self.faces)

    def stretched(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> "Shell":
        """Copy scaled along the axes by positive factors."""
        return Shell(self.vertices * np.array([x, y, z]), self.faces)

    def mirrored(self) -> "Shell":
        """Copy mirrored at the plane x = 0; the faces are reversed so that they still look outward."""
        return Shell(self.vertices * np.array([-1.0, 1.0, 1.0]), self.faces[:, ::-1].copy())

    def warped(self, move: Callable[[Floats], Floats]) -> "Shell":
        """Copy whose vertices are ``move(vertices)``; the map has to keep inside and outside apart."""
        return Shell(np.asarray(move(self.vertices.copy()), dtype=np.float64), self.faces)


def signed_volume(vertices: Floats, faces: Ints) -> float:
    """Volume enclosed by a closed surface, positive if its faces are wound outward."""
    a, b, c = (vertices[faces[:, i]] - vertices[0] for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)


def _outward(vertices: ArrayLike, faces: ArrayLike) -> Shell:
    vertices = np.asarray(vertices, dtype=np.float64)
    faces = np.asarray(faces, dtype=np.int32)
    if signed_volume(vertices, faces) < 0:
        faces = faces[:, ::-1].copy()
    return Shell(vertices, faces)


def _bands(rings: int, points: int, wrap: bool = False) -> Ints:
    """Triangles between consecutive rings of `points` vertices numbered ring by ring."""
    first = np.arange(rings if wrap else rings - 1)[:, None]
    second = (first + 1) % rings
    i = np.arange(points)[None, :]
    j = (i + 1) % points
    a, b, c, d = first * points + i, first * points + j, second * points + j, second * points + i
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3).astype(np.int32)


def triangulate(outline: Floats) -> list[tuple[int, int, int]]:
    """Ear clipping of a simple polygon (N, 2); takes the fattest ear first and keeps the polygon's sense."""
    x, y = outline[:, 0], outline[:, 1]
    sense = 1.0 if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0 else -1.0

    def cross(o: int, a: int, b: int) -> float:
        return float(sense * ((x[a] - x[o]) * (y[b] - y[o]) - (y[a] - y[o]) * (x[b] - x[o])))

    def fatness(k: int, left: list[int]) -> float:
        p, q, r = left[k - 1], left[k], left[(k + 1) % len(left)]
        area = cross(p, q, r)
        longest = max((x[m] - x[n]) ** 2 + (y[m] - y[n]) ** 2 for m, n in ((p, q), (q, r), (r, p)))
        if area <= 1e-9 * longest:
            return -1.0
        for s in left:
            if s not in (p, q, r) and min(cross(p, q, s), cross(q, r, s), cross(r, p, s)) >= -1e-12:
                return -1.0
        return area / longest

    left = list(range(len(outline)))
    triangles = []
    while len(left) > 3:
        k = max(range(len(left)), key=lambda candidate: fatness(candidate, left))
        if fatness(k, left) < 0:
            raise ValueError("the outline crosses itself or has points on a line")
        triangles.append((left[k - 1], left[k], left[(k + 1) % len(left)]))
        del left[k]
    return [*triangles, (left[0], left[1], left[2])]


def loft(rings: ArrayLike, start: Sequence[float] | None = None, end: Sequence[float] | None = None) -> Shell:
    """Skin over rings (K, N, 3), closed by a fan to the points `start` and `end` (default: the rings' means).

    The end rings have to be star-shaped about those points; points of one ring have to be distinct.
    """
    rings = np.asarray(rings, dtype=np.float64)
    count, points = rings.shape[:2]
    first = rings[0].mean(axis=0) if start is None else np.asarray(start, dtype=np.float64)
    last = rings[-1].mean(axis=0) if end is None else np.asarray(end, dtype=np.float64)
    total = count * points
    i = np.arange(points)
    j = (i + 1) % points
    fan_first = np.stack([np.full(points, total), j, i], axis=-1)
    fan_last = np.stack([np.full(points, total + 1), total - points + i, total - points + j], axis=-1)
    faces = np.concatenate([_bands(count, points), fan_first, fan_last])
    return _outward(np.concatenate([rings.reshape(-1, 3), first[None], last[None]]), faces)


def loft_concave(rings: ArrayLike, plane: tuple[int, int]) -> Shell:
    """Skin over rings (K, N, 3) whose end caps may be concave; `plane` names the caps' two coordinates."""
    rings = np.asarray(rings, dtype=np.float64)
    count, points = rings.shape[:2]
    first = np.array(triangulate(rings[0][:, plane]), dtype=np.int32)
    last = np.array(triangulate(rings[-1][:, plane]), dtype=np.int32) + (count - 1) * points
    return _outward(rings.reshape(-1, 3), np.concatenate([_bands(count, points), first[:, ::-1], last]))


def extrude(outline: ArrayLike, depth: float, axis: str = "x", bevel: float = 0.0) -> Shell:
    """Solid of an outline (N, 2) swept by `depth` along `axis`, centred on it.

    The outline's coordinates are (z, y) for axis x, (x, z) for axis y, (x, y) for axis z. A `bevel`
    shrinks both ends about the outline's middle, by about that length.
    """
    outline = np.asarray(outline, dtype=np.float64)
    plane = {"x": (2, 1), "y": (0, 2), "z": (0, 1)}[axis]
    middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
    shrink = 1.0 - 2.0 * bevel / np.ptp(outline, axis=0)
    half = depth / 2
    layers = [(-half, 1.0), (half, 1.0)]
    if bevel > 0:
        layers = [(-half, shrink), (bevel - half, 1.0), (half - bevel, 1.0), (half, shrink)]
    rings = np.empty((len(layers), len(outline), 3))
    for ring, (offset, scale) in zip(rings, layers):
        ring[:, plane] = middle + (outline - middle) * scale
        ring[:, AXES[axis]] = offset
    return loft_concave(rings, plane)


def box(size: Sequence[float], centre: Sequence[float] = (0.0, 0.0, 0.0)) -> Shell:
    """Axis-aligned box with edge lengths `size`."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64) / 2
    rings = np.empty((2, 4, 3))
    rings[:, :, (0, 2)] = corners
    rings[0, :, 1], rings[1, :, 1] = -0.5, 0.5
    faces = np.concatenate([_bands(2, 4), [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]]])
    return _outward(rings.reshape(-1, 3) * np.asarray(size) + np.asarray(centre), faces)


def rounded_box(
    size: Sequence[float], radius: float, centre: Sequence[float] = (0.0, 0.0, 0.0), segments: int = 3
) -> Shell:
    """Box with edges rounded by about `radius` (at most 0.49 of the shortest edge)."""
    half = np.asarray(size, dtype=np.float64) / 2
    radius = min(radius, 0.98 * float(half.min()))
    turn = np.linspace(0, np.pi / 2, segments + 1)
    corner = np.concatenate([turn + q * np.pi / 2 for q in range(4)])
    signs = np.repeat(np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]), segments + 1, axis=0)
    # The last tilt stops short of 90 degrees, where the corner arcs would shrink to points.
    tilts = np.radians(np.concatenate([np.linspace(-72, 0, segments + 1), np.linspace(0, 72, segments + 1)]))
    rings = np.empty((len(tilts), len(corner), 3))
    for index, (ring, tilt) in enumerate(zip(rings, tilts)):
        reach = radius * np.cos(tilt)
        ring[:, 0] = signs[:, 0] * (half[0] - radius) + reach * np.cos(corner)
        ring[:, 2] = signs[:, 1] * (half[2] - radius) + reach * np.sin(corner)
        side = -1 if index <= segments else 1
        ring[:, 1] = side * (half[1] - radius) + radius * np.sin(tilt) / np.sin(np.radians(72))
    return loft(rings + np.asarray(centre))


def lathe(profile: ArrayLike, n: int = 20, closed: bool = False) -> Shell:
    """Solid of revolution about y of a profile (M, 2) of (radius, height).

    An open profile ends on the axis where its radius is 0, else in a flat disc; a `closed` one makes a ring.
    """
    profile = np.asarray(profile, dtype=np.float64)
    angle = 2 * np.pi * np.arange(n) / n
    circle = np.stack([np.cos(angle), np.zeros(n), np.sin(angle)], axis=-1)
    rings = profile[:, 0, None, None] * circle + profile[:, 1, None, None] * np.array([0.0, 1.0, 0.0])
    if closed:
        return _outward(rings.reshape(-1, 3), _bands(len(profile), n, wrap=True))
    inner = rings[profile[:, 0] > 0]
    return loft(inner, (0.0, float(profile[0, 1]), 0.0), (0.0, float(profile[-1, 1]), 0.0))


def frustum(low: float, high: float, height: float, n: int = 20) -> Shell:
    """Truncated cone from radius `low` at y = 0 to `high` at y = `height`; either may be 0, not both."""
    return lathe([(low, 0.0), (high, height)], n) if low > 0 and high > 0 else _cone(low, high, height, n)


def _cone(low: float, high: float, height: float, n: int) -> Shell:
    ring = np.zeros((1, n, 3))
    angle = 2 * np.pi * np.arange(n) / n
    ring[0, :, 0], ring[0, :, 2] = (low + high) * np.cos(angle), (low + high) * np.sin(angle)
    ring[0, :, 1] = 0.0 if low > 0 else height
    return loft(ring, (0.0, 0.0, 0.0), (0.0, height, 0.0))


def cylinder(radius: float, height: float, n: int = 20) -> Shell:
    """Cylinder about y, standing on y = 0."""
    return frustum(radius, radius, height, n)


def disc(radius: float, width: float, axis: str, n: int = 20) -> Shell:
    """Cylinder about `axis`, centred at the origin: a wheel, a knob, a loudspeaker ring."""
    upright = cylinder(radius, width, n).moved(y=-width / 2)
    return upright if axis == "y" else upright.turned(*{"x": ("z", 90.0), "z": ("x", 90.0)}[axis])


def ellipsoid(radii: Sequence[float], centre: Sequence[float] = (0.0, 0.0, 0.0), n: int = 16) -> Shell:
    """Ellipsoid with half axes `radii`."""
    tilt = np.linspace(-np.pi / 2, np.pi / 2, n // 2 + 1)
    profile = np.stack([np.cos(tilt), np.sin(tilt)], axis=-1)
    profile[[0, -1], 0] = 0.0
    return lathe(profile, n).stretched(*radii).moved(*centre)


def torus(radius: float, thickness: float, n: int = 24, sides: int = 8) -> Shell:
    """Ring about y: circle of `thickness` (its radius) at distance `radius` from the axis."""
    angle = 2 * np.pi * np.arange(sides) / sides
    return lathe(np.stack([radius + thickness * np.cos(angle), thickness * np.sin(angle)], -1), n, closed=True)


def tube(path: ArrayLike, radius: float | Sequence[float], n: int = 8) -> Shell:
    """Round bar along a polyline (K, 3), with one radius or one per point; frames by parallel transport."""
    path = np.asarray(path, dtype=np.float64)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(path))
    steps = np.diff(path, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    tangents = np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]])
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.eye(3)[np.argmin(np.abs(tangents[0]))]
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    rings = np.empty((len(path), n, 3))
    for k, tangent in enumerate(tangents):
        side = side - tangent * (side @ tangent)
        side /= np.linalg.norm(side)
        other = np.cross(tangent, side)
        rings[k] = path[k] + radii[k] * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other)
    return loft(rings)


def rod(a: Sequence[float], b: Sequence[float], radius: float, n: int = 8) -> Shell:
    """Round bar from `a` to `b`; n = 4 gives a square one of half diagonal `radius`."""
    return tube([a, b], radius, n)


def curve(points: ArrayLike, steps: int = 8) -> Floats:
    """Smooth path (Catmull-Rom) through points (K, 3), `steps` samples a span."""
    points = np.asarray(points, dtype=np.float64)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.arange(steps)[:, None] / steps
    spans = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:]):
        spans.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*spans, points[-1:]])


def superellipse(n: int, power: float) -> Floats:
    """Closed curve (n, 2) of |x|^power + |y|^power = 1: a circle for 2, nearly a square for 8."""
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    points = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.sign(points) * np.abs(points) ** (2.0 / power)


def body(stations: ArrayLike, power: float = 2.0, n: int = 20) -> Shell:
    """Solid along z through superelliptic sections; a station is (z, half width, lowest y, highest y)."""
    stations = np.asarray(stations, dtype=np.float64)
    outline = superellipse(n, power)
    rings = np.empty((len(stations), n, 3))
    for ring, (z, half_width, low, high) in zip(rings, stations):
        ring[:, 0] = half_width * outline[:, 0]
        ring[:, 1] = (low + high) / 2 + (high - low) / 2 * outline[:, 1]
        ring[:, 2] = z
    return loft(rings)


def slab(grid: ArrayLike, thickness: float) -> Shell:
    """Sheet over a grid of points (A, B, 3), thickened by `thickness` along its normals: sails, shells, seats."""
    grid = np.asarray(grid, dtype=np.float64)
    rows, columns = grid.shape[:2]
    normal = np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    top = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    rim = np.concatenate([index[0, :-1], index[:-1, -1], index[-1, :0:-1], index[:0:-1, 0]])
    after = np.roll(rim, -1)
    under = rows * columns
    side = np.stack([rim, after, after + under, rim, after + under, rim + under], axis=-1).reshape(-1, 3)
    vertices = np.concatenate([grid + thickness / 2 * normal, grid - thickness / 2 * normal]).reshape(-1, 3)
    return _outward(vertices, np.concatenate([top, top[:, ::-1] + under, side]))


def blade(
    root: Sequence[float],
    tip: Sequence[float],
    root_chord: float,
    tip_chord: float,
    thickness: float = 0.12,
    normal: Sequence[float] = (0.0, 1.0, 0.0),
) -> Shell:
    """Wing or fin: a lens-shaped section with its chord along z, from mid-chord `root` to mid-chord `tip`."""
    lens = np.array([(0.5, 0), (0.3, 0.4), (0, 0.5), (-0.3, 0.3), (-0.5, 0), (-0.3, -0.3), (0, -0.5), (0.3, -0.4)])
    rings = np.empty((2, len(lens), 3))
    for ring, point, chord in zip(rings, (root, tip), (root_chord, tip_chord)):
        ring[:] = np.asarray(point) + chord * thickness * lens[:, 1:] * np.asarray(normal)
        ring[:, 2] += chord * lens[:, 0]
    return loft(rings)
