"""Surface voxels of a mesh: a voxel is filled if a part of the surface lies in it (3DWINN, section "3DWINN").

Triangles and voxels are closed sets, so a face on the border between two voxels fills both of them, and what is
symmetric stays so. The test of a triangle against a box looks for a separating axis (Akenine-Möller 2001); columns of
voxels along the main direction of a triangle's normal are looked at first (Schwarz and Seidel 2010), which leaves few
boxes to test. Inside and outside do not matter: open, self-intersecting and wrongly wound meshes are fine.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from robust3d.params import Params as Base
from robust3d.seeds import numpy_generator

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Volume = NDArray[np.bool_]
"""(R, R, R): the voxel at x, y, z."""

TOUCH = 1e-9  # voxels; what is this near counts as touching, so that rounding decides nothing
_LINE = 1e-6  # a triangle of less area, by its longest edge squared, has no plane: it is tested as a line
_MARGIN = 1e-6  # share by which an object is smaller than its place: its outer faces touch no voxel outside of it
_AT_ONCE = 1_000_000  # boxes that are tested together


class VoxelParams(Base):
    """Where an object lies in the grid of voxels."""

    resolution: int = Field(16, ge=2, le=256)  # side R of the grid (paper: 32)
    object_voxels: int | None = Field(None, ge=1)  # that the object's longest side spans, in the middle of the grid;
    # null: all R (paper: not stated; 3D ShapeNets: 24 of 30)
    up: Literal["y", "z"] = "y"  # axis of the grid that points up (paper: not stated)
    rotations: int = Field(1, ge=1, le=360)  # volumes of each object, turned about the vertical by equal angles
    # (3D ShapeNets: 12; the paper has one)
    jitter: int = Field(0, ge=0)  # each volume is shifted along each axis by up to so many voxels; what leaves the grid
    # is lost (the paper has none)

    @model_validator(mode="after")
    def _fits(self) -> "VoxelParams":
        if self.object_voxels is not None and self.object_voxels > self.resolution:
            raise ValueError(f"object_voxels: {self.object_voxels} in a grid of {self.resolution}")
        if self.jitter >= self.resolution:
            raise ValueError(f"jitter: {self.jitter} shifts objects out of a grid of {self.resolution}")
        return self


def voxelise(vertices: F64, faces: NDArray[np.integer], params: VoxelParams, *seed: str | int) -> NDArray[np.bool_]:
    """The volumes of one object.

    Args:
        vertices: (V, 3), y up, of any size and place; finite.
        faces: (F, 3) indices of triangles, at least one.
        params: grid, place in it, rotations.
        seed: parts of the seed of the jitter, such as the study's seed, class and instance.

    Returns:
        (params.rotations, R, R, R): the object turned counter-clockwise seen from above by 0, 1, … times
        360°/rotations. Each is scaled on its own, so that it always spans `object_voxels`.
    """
    volumes = [surface_voxels(placed(vertices, faces, params, turn), faces, params.resolution)
               for turn in range(params.rotations)]  # fmt: skip
    if params.jitter:
        rng = numpy_generator("voxel jitter", *seed)
        shifts = rng.integers(-params.jitter, params.jitter + 1, (params.rotations, 3))
        volumes = [shifted(volume, shift) for volume, shift in zip(volumes, shifts, strict=True)]
    return np.stack(volumes)


def placed(vertices: F64, faces: NDArray[np.integer], params: VoxelParams, turn: int = 0) -> F64:
    """Vertices (V, 3) in voxels, where the grid is [0, R]³: turned, with the object's box in the middle."""
    angle = 2 * np.pi * turn / params.rotations
    cos, sin = (np.round(value, 15) for value in (np.cos(angle), np.sin(angle)))  # quarter turns without rounding
    x, y, z = np.asarray(vertices, np.float64).T
    x, z = cos * x + sin * z, cos * z - sin * x
    points = np.stack([x, y, z] if params.up == "y" else [x, -z, y], 1)
    used = points[np.unique(faces)]
    low, high = used.min(0), used.max(0)
    longest = float((high - low).max())
    size = (params.object_voxels or params.resolution) * (1 - _MARGIN)
    scale = size / longest if longest > 0 else 0.0
    return (points - (low + high) / 2) * scale + params.resolution / 2


def shifted(volume: Volume, shift: NDArray[np.integer]) -> Volume:
    """A volume moved by whole voxels; what leaves the grid is lost, what comes in is empty."""
    moved = np.zeros_like(volume)
    target = tuple(slice(max(step, 0), side + min(step, 0)) for step, side in zip(shift, volume.shape, strict=True))
    source = tuple(slice(max(-step, 0), side - max(step, 0)) for step, side in zip(shift, volume.shape, strict=True))
    moved[target] = volume[source]
    return moved


def surface_voxels(vertices: F64, faces: NDArray[np.integer], resolution: int) -> Volume:
    """The voxels that a surface touches, exactly.

    Args:
        vertices: (V, 3) finite, in voxels: voxel (i, j, k) is the box from (i, j, k) to (i + 1, j + 1, k + 1).
        faces: (F, 3) indices of triangles; lines and points are fine.
        resolution: side R of the grid; what lies outside of it is left out.

    Returns:
        (R, R, R) bool, the same for any order of the triangles and of their corners.
    """
    filled = np.zeros((resolution,) * 3, bool)
    corners = np.asarray(vertices, np.float64)[np.asarray(faces)]
    corners = np.take_along_axis(corners, np.lexsort(corners.transpose(2, 0, 1), axis=1)[..., None], 1)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    main = np.abs(normals).argmax(1)
    for axis in range(3):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]
        mine = main == axis
        turned = filled.transpose(order)  # a view: columns along its last axis
        for part in _parts(corners[mine][:, :, order], normals[mine][:, order], resolution):
            turned[part.voxels()] = True
    return filled


class _Triangles:
    """Triangles with their normals mainly along the last axis, and the boxes of voxels around them."""

    def __init__(self, corners: F64, normals: F64, low: I64, high: I64) -> None:
        self.corners, self.normals, self.low, self.high = corners, normals, low, high

    def voxels(self) -> tuple[I64, I64, I64]:
        """Indices of the voxels that they touch, some of them more than once."""
        which, u, v = self._columns()
        kept = self._beside(0, 1, which, u, v)
        which, u, v = which[kept], u[kept], v[kept]
        first, last = self._depths(which, u, v)
        column, step = _counted(np.maximum(last - first + 1, 0))
        which, u, v, w = which[column], u[column], v[column], first[column] + step
        kept = self._beside(1, 2, which, v, w) & self._beside(2, 0, which, w, u)
        return u[kept], v[kept], w[kept]

    def _columns(self) -> tuple[I64, I64, I64]:
        """Triangle and place of every column in the box of a triangle."""
        wide = self.high - self.low + 1
        which, number = _counted(wide[:, 0] * wide[:, 1])
        return which, self.low[which, 0] + number // wide[which, 1], self.low[which, 1] + number % wide[which, 1]

    def _depths(self, which: I64, u: I64, v: I64) -> tuple[I64, I64]:
        """First and last voxel of each column that the triangle's plane passes, inside the triangle's box."""
        low, high = self.low[which, 2], self.high[which, 2]
        edges = self.corners - np.roll(self.corners, 1, axis=1)
        flat = np.abs(self.normals[:, 2]) > _LINE * np.square(edges).sum(2).max(1)
        slope = self.normals[:, :2] / np.where(flat, self.normals[:, 2], 1)[:, None]
        half = 0.5 * np.abs(slope).sum(1) + TOUCH
        start = self.corners[which, 0]
        middle = start[:, 2] - slope[which, 0] * (u + 0.5 - start[:, 0]) - slope[which, 1] * (v + 0.5 - start[:, 1])
        middle = np.where(flat[which], middle, 0)
        first = np.maximum(low, np.ceil(middle - half[which]).astype(np.int64) - 1)
        last = np.minimum(high, np.floor(middle + half[which]).astype(np.int64))
        return np.where(flat[which], first, low), np.where(flat[which], last, high)

    def _beside(self, a: int, b: int, which: I64, x: I64, y: I64) -> NDArray[np.bool_]:
        """Which squares overlap with the triangles as seen along the third axis: no edge is between them."""
        flat = self.corners[:, :, [a, b]]
        edge = np.roll(flat, -1, axis=1) - flat
        across = np.stack([-edge[..., 1], edge[..., 0]], 2)  # (T, 3, 2): a normal of each edge
        at_edge = (across * flat).sum(2)
        at_corner = (across * np.roll(flat, 1, axis=1)).sum(2)  # the corner that the edge does not touch
        # Half a square further on both sides: then its middle decides.
        reach = (0.5 + TOUCH) * np.abs(across).sum(2)
        least, most = np.minimum(at_edge, at_corner) - reach, np.maximum(at_edge, at_corner) + reach
        inside = np.ones(len(which), bool)
        for side in range(3):
            place = across[which, side, 0] * (x + 0.5) + across[which, side, 1] * (y + 0.5)
            inside &= (least[which, side] <= place) & (place <= most[which, side])
        return inside


def _parts(corners: F64, normals: F64, resolution: int) -> Iterator[_Triangles]:
    """The triangles that reach into the grid, so many at once that their columns fit into memory."""
    limits = -2, resolution + 2  # far away is as good as outside, and fits into an integer
    low = np.ceil(np.clip(corners.min(1) - TOUCH, *limits)).astype(np.int64) - 1
    high = np.floor(np.clip(corners.max(1) + TOUCH, *limits)).astype(np.int64)
    low, high = np.maximum(low, 0), np.minimum(high, resolution - 1)
    there = (low <= high).all(1)
    corners, normals, low, high = corners[there], normals[there], low[there], high[there]
    columns = np.prod(high[:, :2] - low[:, :2] + 1, axis=1)
    part = columns.cumsum() // _AT_ONCE
    for chosen in np.split(np.arange(len(part)), np.flatnonzero(np.diff(part)) + 1):
        if len(chosen):
            yield _Triangles(corners[chosen], normals[chosen], low[chosen], high[chosen])


def _counted(counts: I64) -> tuple[I64, I64]:
    """For counts 2, 3: which count each item belongs to (0 0 1 1 1), and its number there (0 1 0 1 2)."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(counts.cumsum() - counts, counts)
