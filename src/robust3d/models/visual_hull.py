"""The visual hull of an object's silhouettes: where a ray is inside the silhouettes of all views."""

import torch
from torch import Tensor

from robust3d.models.implicit import cube_interval

CHUNK_RAYS = 4096  # at once; affects memory only
# A point this close to a pixel centre is decided by that pixel alone, like points on rays through the centre.
ON_CENTRE_PX = 0.01


def shows_whole(masks: Tensor) -> Tensor:
    """Which pictures show the whole object (O, V) bool: masks (O, V, H, W) with a pixel, but none at their border."""
    found = []
    for one in range(len(masks)):  # one by one: all masks may be too many for the device
        mask = masks[one]
        border = mask[:, 0].any(1) | mask[:, -1].any(1) | mask[:, :, 0].any(1) | mask[:, :, -1].any(1)
        found.append(mask.flatten(1).any(1) & ~border)
    return torch.stack(found)


@torch.no_grad()
def hull_depth(
    origins: Tensor,
    directions: Tensor,
    objects: Tensor,
    masks: Tensor,
    world_to_camera: Tensor,
    intrinsics: Tensor,
    samples: int = 128,
    whole: Tensor | None = None,
) -> Tensor:
    """First depth on each ray through the unit cube that is inside all silhouettes of the ray's object.

    Masks are known at pixel centres only; the outline is somewhere between them. So a point counts as inside a
    silhouette if one of the four centres around it is. If the outline is straight between four centres, the hull
    contains the object and is at most one step behind its surface. (Parts thinner than a pixel may be in no mask.)
    Points outside a picture or behind its camera are excluded only if the picture shows the whole object.

    Args:
        origins: (M, 3).
        directions: (M, 3), unit camera z.
        objects: (M,) object of each ray.
        masks: (O, V, H, W) bool.
        world_to_camera: (O, V, 4, 4).
        intrinsics: (O, V, 3, 3) px.
        samples: uniformly spaced points tried per ray, both ends included; 128 are at most 0.014 apart.
        whole: `shows_whole(masks)`, if already computed.

    Returns:
        (M,) depths, inf where no sample is in the hull.
    """
    near, far, meets = cube_interval(origins, directions, 0.5)
    whole = shows_whole(masks) if whole is None else whole
    fractions = torch.linspace(0, 1, samples, dtype=near.dtype, device=near.device)
    found = torch.full_like(near, torch.inf)
    for rays in meets.nonzero()[:, 0].split(CHUNK_RAYS):
        owner, depths = objects[rays], near[rays, None] + (far - near)[rays, None] * fractions
        inside = torch.ones_like(depths, dtype=torch.bool)
        for view in range(masks.shape[1]):
            projection = intrinsics[owner, view] @ world_to_camera[owner, view, :3]
            turned = projection[:, :, :3]  # image points of a ray are start + depth * slope, homogeneous
            start = (turned @ origins[rays, :, None])[..., 0] + projection[:, :, 3]
            slope = (turned @ directions[rays, :, None])[..., 0]
            ray, sample = inside.nonzero(as_tuple=True)  # samples that no earlier view has excluded
            points = start[ray] + depths[ray, sample, None] * slope[ray]
            inside[ray, sample] = _may_be_covered(points, owner[ray], view, masks, whole)
        first = depths.gather(1, inside.int().argmax(1, keepdim=True))[:, 0]
        found[rays] = torch.where(inside.any(1), first, torch.inf)
    return found


def _may_be_covered(points: Tensor, objects: Tensor, view: int, masks: Tensor, whole: Tensor) -> Tensor:
    """Whether homogeneous image points (N, 3) are in a silhouette or where it excludes nothing (see `hull_depth`)."""
    height, width = masks.shape[-2:]
    centres = (points[:, :2] / points[:, 2:] - 0.5).clamp(-2, max(height, width) + 1)  # in pixels from the first centre
    low, high = (centres + ON_CENTRE_PX).floor().long(), (centres - ON_CENTRE_PX).ceil().long()
    column = torch.stack((low[:, 0], high[:, 0], low[:, 0], high[:, 0]), 1)
    row = torch.stack((low[:, 1], low[:, 1], high[:, 1], high[:, 1]), 1)
    is_shown = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    covered = masks[objects[:, None], view, row.clamp(0, height - 1), column.clamp(0, width - 1)]
    is_ahead, cropped = points[:, 2] > 0, ~whole[objects, view]
    return ((covered & is_shown).any(1) & is_ahead) | (cropped & (~is_shown.all(1) | ~is_ahead))
