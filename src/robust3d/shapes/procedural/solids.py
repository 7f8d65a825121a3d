"""Closed surfaces of polygons, as Blender's primitives are: cube, sphere, cone, cylinder, torus."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Solid:
    """A closed surface whose faces are convex polygons, counter-clockwise seen from outside.

    Attributes:
        vertices: (V, 3).
        corners: (L,) vertices of all faces, one face after the other.
        sizes: (F,) number of corners of each face.
    """

    vertices: Floats
    corners: Ints
    sizes: Ints

    @classmethod
    def of(cls, vertices: Floats, *faces: NDArray[np.integer]) -> "Solid":
        """A solid from blocks of faces (n, k) of equal size, or of single faces (k,)."""
        blocks = [np.atleast_2d(np.asarray(block, np.int64)) for block in faces]
        sizes = np.concatenate([np.full(len(block), block.shape[1]) for block in blocks])
        return cls(np.asarray(vertices, np.float64), np.concatenate([block.ravel() for block in blocks]), sizes)

    @cached_property
    def starts(self) -> Ints:
        """(F,) place of the first corner of each face."""
        return np.asarray(np.concatenate([[0], self.sizes[:-1].cumsum()]), np.int64)

    @cached_property
    def face(self) -> Ints:
        """(L,) face of each corner."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def following(self) -> Ints:
        """(L,) place of the next corner of the same face."""
        places = np.arange(1, len(self.corners) + 1)
        places[self.starts + self.sizes - 1] = self.starts
        return places

    @cached_property
    def preceding(self) -> Ints:
        """(L,) place of the corner before it in the same face."""
        places = np.empty(len(self.corners), np.int64)
        places[self.following] = np.arange(len(self.corners))
        return places

    @cached_property
    def edges(self) -> tuple[Ints, Ints]:
        """Edges (E, 2), lower vertex first, and (L,) the edge from each corner to the next."""
        pairs = np.sort(np.stack([self.corners, self.corners[self.following]], axis=1), axis=1)
        keys, inverse = np.unique(pairs[:, 0] * len(self.vertices) + pairs[:, 1], return_inverse=True)
        return np.stack(np.divmod(keys, len(self.vertices)), axis=1), inverse

    @cached_property
    def centres(self) -> Floats:
        """(F, 3) means of the corners of each face."""
        sums = np.add.reduceat(self.vertices[self.corners], self.starts, axis=0)
        return np.asarray(sums / self.sizes[:, None], np.float64)

    def normals(self) -> Floats:
        """(F, 3) normals, as long as the face's area."""
        here = self.vertices[self.corners]
        return np.asarray(np.add.reduceat(np.cross(here, here[self.following]), self.starts, axis=0) / 2, np.float64)

    def triangles(self) -> Ints:
        """Triangles (T, 3), a fan for each face."""
        count = self.sizes - 2
        face = np.repeat(np.arange(len(self.sizes)), count)
        step = np.arange(len(face)) - np.repeat(count.cumsum() - count, count)
        first = self.starts[face]
        return np.stack([self.corners[first], self.corners[first + step + 1], self.corners[first + step + 2]], axis=1)

    def moved(self, matrix: Floats, offset: Floats) -> "Solid":
        """A copy under x -> matrix x + offset; the matrix does not mirror."""
        return Solid(self.vertices @ matrix.T + offset, self.corners, self.sizes)


def cube(size: float) -> Solid:
    """A cube with edges of length `size`."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return Solid.of(signs * size / 2, np.array(faces))


def _grid(rings: int, segments: int, closed: bool = False) -> Ints:
    """Quads between rings of vertices that are numbered ring by ring; `closed` joins the last to the first."""
    first = np.arange(rings if closed else rings - 1)[:, None]
    second, i = (first + 1) % rings, np.arange(segments)[None, :]
    j = (i + 1) % segments
    quads = np.stack([first * segments + i, first * segments + j, second * segments + j, second * segments + i], -1)
    return np.asarray(quads.reshape(-1, 4), np.int64)


def _circle(segments: int) -> Floats:
    angle = 2 * np.pi * np.arange(segments) / segments
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def sphere(segments: int, rings: int, radius: float = 1.0) -> Solid:
    """A sphere of `rings` bands of quads, triangles at the poles."""
    tilt = np.pi * np.arange(1, rings) / rings  # from the lower pole
    circle = _circle(segments)
    body = np.concatenate([np.stack([*(circle * np.sin(t)).T, np.full(segments, -np.cos(t))], axis=1) for t in tilt])
    low, high = len(body), len(body) + 1
    i = np.arange(segments)
    j, last = (i + 1) % segments, (rings - 2) * segments
    bottom = np.stack([np.full(segments, low), j, i], axis=1)
    top = np.stack([last + i, last + j, np.full(segments, high)], axis=1)
    vertices = np.concatenate([body, [[0, 0, -1.0], [0, 0, 1.0]]]) * radius
    return Solid.of(vertices, _grid(rings - 1, segments), bottom, top)


def cone(segments: int, radius: float, top_radius: float, depth: float) -> Solid:
    """A truncated cone about z with polygons as caps; with equal radii a cylinder."""
    circle = _circle(segments)
    low = np.stack([*(circle * radius).T, np.full(segments, -depth / 2)], axis=1)
    high = np.stack([*(circle * top_radius).T, np.full(segments, depth / 2)], axis=1)
    i = np.arange(segments)
    return Solid.of(np.concatenate([low, high]), _grid(2, segments), i[::-1], segments + i)


def torus(segments: int, tube_segments: int, radius: float, tube_radius: float) -> Solid:
    """A torus about z."""
    around, tube = _circle(segments), _circle(tube_segments)
    away = radius + tube_radius * tube[:, 0]
    vertices = np.stack(
        [
            np.outer(around[:, 0], away),
            np.outer(around[:, 1], away),
            np.broadcast_to(tube_radius * tube[:, 1], (segments, tube_segments)),
        ],
        axis=-1,
    )
    faces = _grid(segments, tube_segments, closed=True)
    return Solid.of(vertices.reshape(-1, 3), faces[:, ::-1])
