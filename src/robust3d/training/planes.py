"""Checks before a training that rays are sampled where the objects are."""

import math

import numpy as np

from robust3d.data.multiview import Multiview
from robust3d.data.planes import Surface, outside, surface_of
from robust3d.errors import UserError

MOST_OUTSIDE = 0.01  # share of the known surface that may be outside the sampled range
OBJECTS = 64  # that are checked, evenly spaced
_SLACK = 0.005  # for surfaces that touch a face of the cube


def known_surfaces(views: Multiview, hull: bool = True) -> list[Surface]:
    """Surfaces of at most `OBJECTS` objects; `hull`: see `surface_of`."""
    found = []
    for row in np.linspace(0, len(views) - 1, min(OBJECTS, len(views))).astype(int).tolist():
        tensors = (views.masks, views.depth, views.world_to_camera, views.intrinsics)
        masks, depth, poses, intrinsics = (tensor[row].cpu().numpy() for tensor in tensors)
        surface = surface_of(masks, depth, poses, intrinsics, hull)
        found += [surface] if surface else []
    return found


def check_planes(near: float, far: float, *parts: Multiview) -> None:
    """Refuse near and far planes that cut off more than 1 % of the objects' surface.

    Args:
        near: distance from the camera from which rays are sampled.
        far: distance up to which they are.
        parts: views trained on and held out.

    Raises:
        UserError: names the keys, and planes that fit.
    """
    surfaces = [surface for views in parts for surface in known_surfaces(views)]
    if not surfaces:
        return
    before, behind = outside(surfaces, near, far)
    if before + behind <= MOST_OUTSIDE:
        return
    lowest, highest = min(one.nearest for one in surfaces), max(one.farthest for one in surfaces)
    fits = f"near: {math.floor(100 * lowest) / 100:g} and far: {math.ceil(100 * highest) / 100:g}"
    raise UserError(
        f"near: {near:g} and far: {far:g} leave out {before + behind:.0%} of the surface that the cameras see "
        f"({before:.0%} of it lies before near, {behind:.0%} behind far): no sample of a ray falls there. In sides of "
        f"the objects' cube, surfaces are {lowest:.3g} to {highest:.3g} away from the cameras. Set {fits}, or "
        "near_far: aabb, which takes the part of each ray that is in the cube"
    )


def check_cube(half_size: float, *parts: Multiview) -> None:
    """Refuse objects with more than 1 % of their surface outside the cube in which rays are sampled.

    Args:
        half_size: of the cube.
        parts: views trained on and held out; those without known depth are not checked.

    Raises:
        UserError: says how far objects reach.
    """
    surfaces = [surface for views in parts for surface in known_surfaces(views, hull=False)]
    share = float(np.mean([(surface.reaches > half_size + _SLACK).mean() for surface in surfaces])) if surfaces else 0.0
    if share > MOST_OUTSIDE:
        reach = max(surface.reach for surface in surfaces)
        raise UserError(
            f"{share:.0%} of the surface that the cameras see lies outside of the cube of side {2 * half_size:g} in "
            f"which rays are sampled: objects reach out to {reach:.3g} and have to stay within 0.5. Divide the "
            f"translations of the cameras and the depth maps by {2 * reach:.3g}"
        )
