"""Distances of objects' surfaces from cameras, and the share of surface that near and far planes cut off.

Distances are Euclidean, along the ray, in sides of the cube that contains the objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robust3d.cameras import camera_centre, unproject

_VIEW_PIXELS = 4096  # of each mask at most, evenly spaced
_KEPT = 1024  # distances and points of an object at most, evenly spaced
_HULL_RAYS = 1024  # of an object without known depth
_HULL_SAMPLES = 64


@dataclass(frozen=True)
class Surface:
    """The known surface of one object.

    Attributes:
        seen: (N,) distances at which cameras see it; at most `_KEPT`, evenly spaced over all pixels.
        nearest: smallest distance of a camera from a point, which may be known from another view.
        farthest: largest such distance; that point is on the far side, known from other views.
        reach: largest absolute coordinate of its points: 0.5 if it touches the cube from inside.
        reaches: (M,) largest absolute coordinate of each of some points, evenly spaced over all pixels.
    """

    seen: np.ndarray
    nearest: float
    farthest: float
    reach: float
    reaches: np.ndarray


def surface_of(
    masks: np.ndarray,
    depth: np.ndarray,
    world_to_camera: np.ndarray,
    intrinsics: np.ndarray,
    hull: bool = True,
) -> Surface | None:
    """The known surface of one object in V views.

    Args:
        masks: (V, H, W) bool.
        depth: (V, H, W) camera z, NaN where unknown.
        world_to_camera: (V, 4, 4).
        intrinsics: (V, 3, 3) px.
        hull: use the front of the visual hull in the cube if no depth is known.

    Returns:
        The surface; None if nothing is known.
    """
    masks, depth = np.asarray(masks, bool), np.asarray(depth, np.float64)
    poses, optics = np.asarray(world_to_camera, np.float64), np.asarray(intrinsics, np.float64)
    if not (masks & np.isfinite(depth)).any():
        if not hull:
            return None
        depth = _hull_depth(masks, poses, optics)
    centres = camera_centre(poses)
    distances, points = [], []
    for view, known in enumerate(masks & np.isfinite(depth)):
        pixels = _some(np.argwhere(known), _VIEW_PIXELS)
        z = depth[view][tuple(pixels.T)]
        points.append(unproject(pixels[:, ::-1] + 0.5, z, poses[view], optics[view]))
        distances.append(np.linalg.norm(points[-1] - centres[view], axis=-1))
    seen, places = np.concatenate(distances), np.concatenate(points)
    if not len(seen):
        return None
    some = _some(places, _KEPT)
    across = np.linalg.norm(some[:, None] - centres, axis=-1)
    nearest, farthest = min(seen.min(), across.min()), max(seen.max(), across.max())
    reach = float(np.abs(places).max())
    return Surface(_some(seen, _KEPT), float(nearest), float(farthest), reach, np.abs(some).max(axis=-1))


def outside(surfaces: Sequence[Surface], near: float, far: float, scale: float = 1.0) -> tuple[float, float]:
    """Shares of the visible surface in front of `near` and behind `far`; all objects have equal weight.

    Args:
        surfaces: at least one.
        near: distance from which rays are sampled.
        far: distance up to which they are.
        scale: that all lengths are multiplied by.
    """
    slack = 1e-9 * far  # a surface on a plane is inside
    before = [float((surface.seen * scale < near - slack).mean()) for surface in surfaces]
    behind = [float((surface.seen * scale > far + slack).mean()) for surface in surfaces]
    return sum(before) / len(before), sum(behind) / len(behind)


def scale_between(surfaces: Sequence[Surface], near: float, far: float, largest: float = np.inf) -> float:
    """The scale closest to 1 that brings the objects between two planes.

    If no scale brings all objects between them, the scale with the smallest share of visible surface outside.

    Args:
        surfaces: of all objects, at least one.
        near: distance from which rays are sampled.
        far: distance up to which they are.
        largest: allowed scale.
    """
    nearest = min(surface.nearest for surface in surfaces)
    least, most = (near / nearest if nearest > 0 else np.inf), far / max(surface.farthest for surface in surfaces)
    tried = [min(max(1.0, least), most)] if least <= most else [1.0, least, most]
    tried = [min(scale, largest) for scale in tried if np.isfinite(scale)]
    return min(tried, key=lambda scale: (sum(outside(surfaces, near, far, scale)), abs(np.log(scale))))


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` evenly spaced rows."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def _hull_depth(masks: np.ndarray, poses: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """(V, H, W) camera z of the visual hull at some pixels of every mask, NaN elsewhere."""
    import torch

    from robust3d.models.visual_hull import hull_depth

    depth = np.full(masks.shape, np.nan)
    shown = masks.any((1, 2))  # a view without the object would make the hull empty
    shapes, cameras, optics = (torch.from_numpy(array[shown])[None] for array in (masks, poses, intrinsics))
    for view, mask in enumerate(masks):
        pixels = _some(np.argwhere(mask), max(1, _HULL_RAYS // len(masks)))
        origin = camera_centre(poses[view])
        ends = unproject(pixels[:, ::-1] + 0.5, np.ones(len(pixels)), poses[view], intrinsics[view])
        directions = ends - origin
        if not len(pixels):
            continue
        found = hull_depth(
            torch.from_numpy(origin).expand(len(pixels), 3),
            torch.from_numpy(directions),
            torch.zeros(len(pixels), dtype=torch.long),
            shapes,
            cameras,
            optics,
            samples=_HULL_SAMPLES,
        ).numpy()
        depth[view][tuple(pixels.T)] = np.where(np.isfinite(found), found, np.nan)
    return depth
