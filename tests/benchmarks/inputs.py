"""Inputs of the benchmarks that are made on the spot."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from robust3d import cameras
from robust3d.data.multiview import Multiview


def blurred_classes(count: int, classes: int, size_px: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images (N,3,S,S) in [0,1] of smooth class prototypes, and their labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.rand(classes, 3, 4, 4, generator=torch.Generator().manual_seed(99))
    prototypes = functional.interpolate(prototypes, (size_px, size_px), mode="bilinear")
    labels = torch.randint(classes, (count,), generator=generator)
    noise = torch.randn(count, 3, size_px, size_px, generator=generator)
    return (0.25 + 0.5 * prototypes[labels] + 0.2 * noise).clamp(0, 1), labels


def balls(objects: int, views: int, size_px: int, seed: int) -> Multiview:
    """Shaded balls of random size, place and colour on white, at the NMR renders' cameras."""
    rng = np.random.default_rng(seed)
    camera = cameras.CameraParams(protocol="nmr", views=views)
    optics = cameras.intrinsics(camera, size_px)
    poses = cameras.poses(camera, 0, "balls")
    column, row = np.meshgrid(np.arange(size_px) + 0.5, np.arange(size_px) + 0.5)
    pixels = np.stack([column, row, np.ones_like(row)], -1).reshape(-1, 3) @ np.linalg.inv(optics).T
    images = np.full((objects, views, size_px * size_px, 3), 255, np.uint8)
    depth = np.full((objects, views, size_px * size_px), np.inf, np.float32)
    for number in range(objects):
        radius, centre, colour = rng.uniform(0.2, 0.35), rng.uniform(-0.1, 0.1, 3), rng.uniform(0.2, 0.9, 3)
        for view, pose in enumerate(poses):
            origin = -pose[:3, :3].T @ pose[:3, 3] - centre
            rays = pixels @ pose[:3, :3]
            a, b, c = (rays * rays).sum(1), rays @ origin, origin @ origin - radius**2
            hit = b * b > a * c
            depth[number, view, hit] = (-b[hit] - np.sqrt((b * b - a * c)[hit])) / a[hit]
            normal = (origin + depth[number, view, hit, None] * rays[hit]) / radius
            shade = 0.4 + 0.6 * np.clip(normal @ np.array([0.4, 0.8, 0.45]), 0, 1)
            images[number, view, hit] = np.round(255 * colour * shade[:, None])
    grid = objects, views, size_px, size_px
    stack = torch.from_numpy(images.reshape(*grid, 3)).movedim(-1, 2).contiguous()
    return Multiview(
        inputs=stack,
        targets=stack,
        masks=torch.from_numpy(np.isfinite(depth).reshape(grid)),
        depth=torch.from_numpy(depth.reshape(grid)),
        world_to_camera=torch.from_numpy(poses).float().expand(objects, views, 4, 4).clone(),
        intrinsics=torch.from_numpy(optics).float().expand(objects, views, 3, 3).clone(),
        class_index=torch.arange(objects) % 3,
        names=[f"ball/{number}" for number in range(objects)],
    )
