"""Quality control of random meshes: size, number of faces, silhouette, and distance to the meshes that are kept."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pydantic import Field

from robust3d.errors import UserError
from robust3d.seeds import numpy_generator
from robust3d.shapes.procedural.algorithm import AlgorithmParams, draw_parts, united
from robust3d.shapes.procedural.solids import Floats

_POINTS, _PAIRS, _QUANTILES = 16384, 65536, 24  # of the descriptor
_GRID = 24  # side of a silhouette
_GOLDEN = (1 + 5**0.5) / 2
_AXES = np.array([[0, s, t * _GOLDEN] for s in (1, -1) for t in (1, -1)], np.float64)
_DIRECTIONS = np.concatenate([np.roll(_AXES, k, axis=1) for k in range(3)])  # corners of an icosahedron: 12 views


class QualityParams(AlgorithmParams):
    """What is rejected beyond the paper's largest size; the paper asks for meshes that look different."""

    max_faces: int = Field(60_000, ge=12)  # triangles
    min_fill: float = Field(0.05, ge=0, lt=1)  # share of the disk around the mesh that each of 12 silhouettes fills
    min_distance: float = Field(0.005, ge=0)  # to all earlier meshes, see `descriptor`; its noise is below
    tries: int = Field(200, ge=1)  # candidates for one mesh, before it ends with an error


class Numbered(NamedTuple):
    """A mesh that passed."""

    number: int
    vertices: Floats  # in a sphere of radius 1/2 about the origin
    faces: np.ndarray  # triangles
    shape: Floats  # its descriptor
    rejected: Counter[str]  # candidates before it, by reason


def generate(params: QualityParams, seed: int, count: int) -> Iterator[Numbered]:
    """Meshes 0, 1, … one after the other: each is compared with all before it, so the order is part of the rule.

    Mesh k depends on the parameters, the seed and k, never on how many are asked for.

    Raises:
        UserError: quality control rejects every candidate for one of them.
    """
    kept: list[Floats] = []
    for number in range(count):
        rejected: Counter[str] = Counter()
        for attempt in range(params.tries):
            generator = numpy_generator(seed, "procsynth", number, attempt)
            parts = draw_parts(params, generator)
            if not parts:
                rejected["empty"] += 1
                continue
            vertices, faces = united(parts)
            reason, shape = None, np.zeros(0)
            if np.ptp(vertices, axis=0).max() > params.max_size:
                reason = "max_size"
            elif len(faces) > params.max_faces:
                reason = "max_faces"
            else:
                vertices = in_sphere(vertices)
                points = surface_points(vertices, faces, _POINTS, generator)
                shape = descriptor(points, generator)
                if silhouettes(points).min() < params.min_fill:
                    reason = "min_fill"
                elif kept and distances(shape, np.stack(kept)).min() < params.min_distance:
                    reason = "min_distance"
            if reason is None:
                kept.append(shape)
                yield Numbered(number, vertices, faces, shape, rejected)
                break
            rejected[reason] += 1
        else:
            reasons = ", ".join(f"{count} by {name}" for name, count in rejected.most_common())
            raise UserError(
                f"procsynth: quality control rejected all {params.tries} candidates for mesh {number} ({reasons}); "
                f"loosen {rejected.most_common(1)[0][0]}, or ask for at most {number} meshes"
            )


def in_sphere(vertices: Floats) -> Floats:
    """Vertices moved and scaled so that the sphere about their box's middle has the radius 1/2."""
    centred = vertices - (vertices.min(0) + vertices.max(0)) / 2
    return np.asarray(centred / (2 * np.linalg.norm(centred, axis=1).max()), np.float64)


def surface_points(vertices: Floats, faces: np.ndarray, count: int, generator: np.random.Generator) -> Floats:
    """Points (count, 3), uniform on the triangles."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    even = (np.arange(count) + generator.uniform(size=count)) / count  # one point for each equal share of the area
    chosen = np.minimum(np.searchsorted(area.cumsum(), even * area.sum()), len(faces) - 1)
    s, t = generator.uniform(size=(2, count, 1))
    root = np.sqrt(s)
    return np.asarray(a[chosen] * (1 - root) + b[chosen] * root * (1 - t) + c[chosen] * root * t, np.float64)


def descriptor(points: Floats, generator: np.random.Generator) -> Floats:
    """Quantiles of the distances to the centre and between two random points (D1, D2 of Osada et al. 2002).

    It does not change when the mesh is turned. Lengths are in radii of the sphere around the mesh.
    """
    pairs = points[generator.integers(len(points), size=(2, _PAIRS))]
    lengths = (np.linalg.norm(points, axis=1), np.linalg.norm(pairs[0] - pairs[1], axis=1))
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return np.concatenate([2 * np.quantile(length, levels) for length in lengths])


def distances(shape: Floats, others: Floats) -> Floats:
    """Mean absolute difference of a descriptor to each of (n, D) others."""
    return np.asarray(np.abs(others - shape).mean(axis=1), np.float64)


def silhouettes(points: Floats) -> Floats:
    """Share of the disk around the mesh that it fills, seen from 12 directions along parallel rays."""
    fills = []
    middle = (np.arange(_GRID) + 0.5) / _GRID - 0.5
    inside = (middle[:, None] ** 2 + middle[None] ** 2) <= 0.25
    for direction in _DIRECTIONS / np.linalg.norm(_DIRECTIONS[0]):
        u = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
        u /= np.linalg.norm(u)
        flat = points @ np.stack([u, np.cross(direction, u)], axis=1)
        cells = np.clip(((flat + 0.5) * _GRID).astype(np.int64), 0, _GRID - 1)
        hit = np.bincount(cells[:, 0] * _GRID + cells[:, 1], minlength=_GRID**2) > 0
        fills.append(hit.sum() / inside.sum())
    return np.array(fills)
