"""The visual hull of an object's silhouettes: where on a ray every view sees the object."""

import torch
from torch import Tensor


@torch.no_grad()
def hull_depth(
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    objects: Tensor,
    masks: Tensor,
    world_to_camera: Tensor,
    intrinsics: Tensor,
    samples: int = 64,
) -> Tensor:
    """First depth on each ray that lies inside all silhouettes of the ray's object.

    Args:
        origins: (M, 3).
        directions: (M, 3), unit camera z.
        near: (M,) depth of the first sample.
        far: (M,) depth of the last sample.
        objects: (M,) object of each ray.
        masks: (O, V, H, W) bool; a point outside an image is outside its silhouette.
        world_to_camera: (O, V, 4, 4).
        intrinsics: (O, V, 3, 3) px.
        samples: uniformly spaced points tried per ray.

    Returns:
        (M,) depths, inf where no sample is in the hull.
    """
    fractions = torch.linspace(0, 1, samples, dtype=near.dtype, device=near.device)
    depths = near[:, None] + (far - near)[:, None] * fractions
    points = origins[:, None] + depths[..., None] * directions[:, None]
    inside = torch.ones_like(depths, dtype=torch.bool)
    height, width = masks.shape[-2:]
    for view in range(masks.shape[1]):
        pose, camera = world_to_camera[objects, view], intrinsics[objects, view]
        projected = (points @ pose[:, :3, :3].mT + pose[:, None, :3, 3]) @ camera.mT
        column, row = (projected[..., :2] / projected[..., 2:]).floor().long().unbind(-1)
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        silhouette = masks[objects[:, None], view, row.clamp(0, height - 1), column.clamp(0, width - 1)]
        inside &= seen & silhouette & (projected[..., 2] > 0)
    first = depths.gather(1, inside.int().argmax(1, keepdim=True))[:, 0]
    return torch.where(inside.any(1), first, torch.inf)
