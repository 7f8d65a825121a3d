"""Modifiers of a solid after Blender's: subdivide, wireframe, smooth, skin. Closed solids stay closed."""

import numpy as np

from robust3d.shapes.procedural.solids import Floats, Solid, cube

_DEEPEST = 0.9  # of the way to the middle of a face that the struts of a wireframe may reach


def subdivide(solid: Solid, simple: bool = False) -> Solid:
    """One level of Catmull-Clark subdivision, or of `simple` subdivision, which moves no vertex."""
    edges, edge_of = solid.edges
    count, faces, ends = len(solid.vertices), len(solid.sizes), len(edges)
    middles = solid.vertices[edges].mean(axis=1)
    if simple:
        at_edges, at_vertices = middles, solid.vertices
    else:
        beside = _sums(solid.centres[solid.face], edge_of, ends)  # of the two faces at each edge
        at_edges = (2 * middles + beside) / 4
        valence = np.bincount(solid.corners, minlength=count)[:, None]
        around = _sums(solid.centres[solid.face], solid.corners, count) / valence
        towards = (_sums(middles, edges[:, 0], count) + _sums(middles, edges[:, 1], count)) / valence
        at_vertices = (around + 2 * towards + (valence - 3) * solid.vertices) / valence
    quads = np.stack(
        [solid.corners, count + faces + edge_of, count + solid.face, count + faces + edge_of[solid.preceding]], axis=1
    )
    return Solid.of(np.concatenate([at_vertices, solid.centres, at_edges]), quads)


def _sums(values: Floats, index: np.ndarray, length: int) -> Floats:
    """Sums of rows (n, 3) that have the same index."""
    return np.stack([np.bincount(index, column, minlength=length) for column in values.T], axis=1)


def wireframe(solid: Solid, thickness: float) -> Solid:
    """Struts along the edges in place of the faces, joined at the vertices, with a section of four sides.

    As in Blender each strut has one edge outside and one inside of the surface, half the thickness away from it, and
    one in each of the two faces; there the distance to the face's border is the thickness, less in small faces.
    """
    count, here = len(solid.vertices), solid.vertices[solid.corners]
    flat = _unit(solid.normals())
    normals = _unit(_sums(flat[solid.face], solid.corners, count))
    ahead = _unit(here[solid.following] - here)
    behind = _unit(here[solid.preceding] - here)
    sine = np.linalg.norm(np.cross(ahead, behind), axis=1)  # of the angle at the corner
    cosine = (ahead * behind).sum(1)
    half = np.sqrt(np.maximum((1 - cosine) / 2, 1e-6))  # sine of half of it
    inward = np.where((sine > 1e-6)[:, None], ahead + behind, np.cross(flat[solid.face], ahead))
    away = solid.centres[solid.face] - here
    off_border = np.linalg.norm(np.cross(away, ahead), axis=1)
    room = np.minimum.reduceat(off_border, solid.starts)[solid.face]
    depth = np.minimum(thickness, _DEEPEST * room) / half
    inside = here + _unit(inward) * depth[:, None]
    outer, inner = solid.vertices + normals * thickness / 2, solid.vertices - normals * thickness / 2
    place = np.arange(len(solid.corners))
    to = solid.following
    above = np.stack([solid.corners, solid.corners[to], 2 * count + to, 2 * count + place], axis=1)
    below = np.stack([count + solid.corners[to], count + solid.corners, 2 * count + place, 2 * count + to], axis=1)
    return Solid.of(np.concatenate([outer, inner, inside]), above, below)


def smooth(solid: Solid, rounds: int = 1, factor: float = 0.5) -> Solid:
    """Every vertex moves part of the way to the mean of its neighbours, some rounds long."""
    edges, _ = solid.edges
    count, vertices = len(solid.vertices), solid.vertices
    ends = np.concatenate([edges, edges[:, ::-1]])
    neighbours = np.bincount(ends[:, 0], minlength=count)[:, None]
    for _ in range(rounds):
        mean = _sums(vertices[ends[:, 1]], ends[:, 0], count) / neighbours
        vertices = vertices + factor * (mean - vertices)
    return Solid(vertices, solid.corners, solid.sizes)


def skin(solid: Solid, radius: float, sides: int = 5) -> Solid:
    """Closed tubes along the edges and a cube at each vertex, in place of the faces."""
    edges, _ = solid.edges
    start, end = solid.vertices[edges[:, 0]], solid.vertices[edges[:, 1]]
    along = _unit(end - start)
    helper = np.eye(3)[np.abs(along).argmin(axis=1)]
    u = _unit(np.cross(along, helper))
    v = np.cross(along, u)
    angle = 2 * np.pi * np.arange(sides) / sides
    ring = radius * (np.cos(angle)[:, None] * u[:, None] + np.sin(angle)[:, None] * v[:, None])  # (E, sides, 3)
    tubes = np.stack([start[:, None] + ring, end[:, None] + ring], axis=1).reshape(-1, 3)
    i = np.arange(sides)
    j = (i + 1) % sides
    base = (2 * sides * np.arange(len(edges)))[:, None, None]
    walls = (base + np.stack([i, j, sides + j, sides + i], axis=1)).reshape(-1, 4)
    caps = np.concatenate([(base[:, 0] + i[::-1]), (base[:, 0] + sides + i)])
    ball = cube(2 * radius / np.sqrt(2))
    knots = (solid.vertices[:, None] + ball.vertices).reshape(-1, 3)
    faces = len(tubes) + 8 * np.arange(len(solid.vertices))[:, None, None] + ball.corners.reshape(1, 6, 4)
    return Solid.of(np.concatenate([tubes, knots]), walls, caps, faces.reshape(-1, 4))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float64)
