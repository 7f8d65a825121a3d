"""Generalised cylinders: a section swept along an axis while it grows and shrinks, closed at both ends.

Every geon comes out as one welded vertex set: rings of equally many vertices in order along the axis, then
the two end vertices. Sharp edges are left to the renderer, which draws them by angle.
"""

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from robust3d.params import Params as Base
from robust3d.shapes.codes import Geon

Array = NDArray[np.float64]


class Sweep(Base):
    """Lengths, angles and profile of a sweep whose axis is one unit long; the paper gives none of them."""

    bend_deg: float = Field(120.0, gt=0, le=180)  # angle between the ends of a curved axis, a circular arc
    half_width: float = Field(0.2, gt=0, le=0.5)  # of the widest section: radius or half a square's side
    taper: float = Field(0.4, ge=0.1, le=0.9)  # scale at the small end of a monotonic sweep without a point
    end_scale: float = Field(0.5, ge=0.1, le=0.9)  # scale at both ends of expand-and-contract
    waist: float = Field(0.45, ge=0.1, le=0.9)  # scale in the middle of contract-and-expand
    point_exponent: float = Field(1.4, ge=1, le=3)  # between two points the scale is sin(pi u) to this power
    dome: float = Field(1.2, ge=0.2, le=2)  # height over half width of the ellipsoid of a curved-surface end
    samples_around: int = Field(96, ge=16, le=512, multiple_of=4)  # vertices of a section
    samples_along: int = Field(48, ge=8, le=512)  # steps along the axis
    samples_dome: int = Field(12, ge=3, le=128)  # steps from rim to pole of a curved-surface end

    @property
    def bend_radius(self) -> float:
        """Radius of a curved axis; sections wider than this would pass through each other."""
        return 1 / math.radians(self.bend_deg)


def section(kind: str, samples: int) -> Array:
    """The unit section, counter-clockwise, (samples, 2): a circle or a square of side 2 with its corners."""
    if kind == "c":
        angle = 2 * np.pi * np.arange(samples) / samples + np.pi / 4
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    side = np.arange(samples // 4) / (samples // 4)
    along, ones = 1 - 2 * side, np.ones_like(side)
    xs = np.concatenate([along, -ones, -along, ones])
    ys = np.concatenate([ones, along, -ones, -along])
    return np.stack([xs, ys], axis=1)


def scale(geon: Geon, shape: Sweep, u: Array) -> Array:
    """Scale of the section at the points u in [0, 1] of the axis; the widest section has scale 1."""
    if geon.sweep == "c":
        return np.ones_like(u)
    if geon.sweep == "m":
        return 1 - (1 - (0.0 if geon.termination == "p" else shape.taper)) * u
    bump = np.sin(np.pi * u)
    if geon.sweep == "ce":
        return 1 - (1 - shape.waist) * bump
    if geon.termination == "p":
        return np.maximum(bump, 0.0) ** shape.point_exponent
    return shape.end_scale + (1 - shape.end_scale) * bump


def frames(geon: Geon, shape: Sweep, u: Array) -> tuple[Array, Array, Array]:
    """Axis points, normals and tangents at u, each (n, 3); the binormal is -z everywhere.

    A straight axis is the y axis; a curved one is an arc in the xy plane, whose frame is free of twist.
    """
    zero, one = np.zeros_like(u), np.ones_like(u)
    if geon.axis == "s":
        points, normals, tangents = (zero, u - 0.5, zero), (one, zero, zero), (zero, one, zero)
    else:
        angle, radius = math.radians(shape.bend_deg) * (u - 0.5), shape.bend_radius
        points = (radius * (np.cos(angle) - 1), radius * np.sin(angle), zero)
        normals = (np.cos(angle), np.sin(angle), zero)
        tangents = (-np.sin(angle), np.cos(angle), zero)
    return np.stack(points, axis=1), np.stack(normals, axis=1), np.stack(tangents, axis=1)


def ends(geon: Geon) -> tuple[str, str]:
    """How the sweep is closed where it starts and where it stops: ``flat``, ``point`` or ``round``."""
    if geon.termination == "p":
        # a monotonic sweep shrinks from a flat end to its point
        return ("flat" if geon.sweep == "m" else "point"), "point"
    return {"c": ("round", "round"), "c-inc": ("round", "flat"), "c-dec": ("flat", "round")}.get(
        geon.termination, ("flat", "flat")
    )


def cap(geon: Geon, shape: Sweep, end: float) -> tuple[Array, Array]:
    """Heights above the end plane and scales of the rings of a curved-surface end, up to its pole of scale 0.

    The cap is the part of an ellipsoid above latitude psi; `end` is the scale of the last section. Where the
    section shrinks towards the end, psi is such that the cap goes on with the sides' slope: starting at the
    equator would leave a concave crease, at which Biederman's theory splits an object in two.
    """
    shrinking = {"ec": np.pi * (1 - shape.end_scale), "m": (1 - shape.taper) * (geon.termination == "c-dec")}
    first = math.atan(shape.dome * shape.half_width * shrinking.get(geon.sweep, 0.0))
    psi = np.linspace(first, np.pi / 2, shape.samples_dome + 1)[1:]
    equator = end / math.cos(first)
    heights = shape.dome * shape.half_width * equator * (np.sin(psi) - math.sin(first))
    return heights, equator * np.cos(psi)


def solid(geon: Geon, shape: Sweep) -> tuple[Array, NDArray[np.int32]]:
    """The closed surface of a geon before normalisation.

    Returns:
        Vertices (V, 3) and faces (F, 3), counter-clockwise seen from outside.
    """
    u = np.linspace(0.0, 1.0, shape.samples_along + 1)
    scales, (points, normals, tangents) = scale(geon, shape, u), frames(geon, shape, u)
    start, stop = ends(geon)
    body = slice(start == "point", len(u) - (stop == "point"))  # an apex takes the place of a ring of scale zero
    rings = [(points[body], normals[body], scales[body])]
    poles = []
    for index, sign, end in ((0, -1, start), (-1, 1, stop)):
        heights, sizes = cap(geon, shape, scales[index]) if end == "round" else (np.zeros(1), np.zeros(1))
        outward = points[index] + sign * heights[:, None] * tangents[index]
        poles.append(outward[-1])
        dome = outward[:-1], np.tile(normals[index], (len(heights) - 1, 1)), sizes[:-1]
        if sign < 0:  # rings stay in order along the axis
            rings.insert(0, (dome[0][::-1], dome[1], dome[2][::-1]))
        else:
            rings.append(dome)
    centres, across, size = (np.concatenate(parts) for parts in zip(*rings))
    outline = section(geon.section, shape.samples_around) * shape.half_width
    binormal = np.array([0.0, 0.0, -1.0])
    offsets = outline[None, :, :1] * across[:, None] + outline[None, :, 1:] * binormal
    surface = centres[:, None] + size[:, None, None] * offsets
    return np.concatenate([surface.reshape(-1, 3), np.stack(poles)]), faces(*surface.shape[:2])


def faces(rings: int, around: int) -> NDArray[np.int32]:
    """Triangles between consecutive rings, and a fan from each end ring to its end vertex, wound outwards."""
    index = np.arange(rings * around, dtype=np.int32).reshape(rings, around)
    following = np.roll(index, -1, axis=1)
    a, b, c, d = index[:-1], following[:-1], following[1:], index[1:]
    sides = np.concatenate([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)]).reshape(-1, 3)
    start, stop = (np.full(around, index.size + end, dtype=np.int32) for end in (0, 1))
    first = np.stack([start, following[0], index[0]], axis=1)
    last = np.stack([stop, index[-1], following[-1]], axis=1)
    return np.concatenate([sides, first, last])
