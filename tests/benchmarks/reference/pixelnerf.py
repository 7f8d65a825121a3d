"""A pixelNeRF step as the published code takes it (Yu et al. 2021), for the same task, weights and draws as ours.

It reads image and mask PNGs of all views of a step's objects, builds the rays of every pixel of every view to keep a
few, looks the latent up for every sample and projects it there, once for each of the two networks.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from robust3d.models.implicit import pixel_rays
from robust3d.models.pixelnerf import CONDITIONED_BLOCKS, MIN_DEPTH, ConditionedMlp, SourceRays, positional_encoding
from robust3d.models.volume_rendering import Composite, around_depth, composite, importance, stratified
from robust3d.pretraining.pixelnerf.task import PixelNerfPretraining
from robust3d.training.draws import integers


@dataclass(frozen=True)
class Literal:
    """What is done as published; each can be switched off alone."""

    png: bool = True  # S1: files and all rays per step instead of a gather from memory
    project_samples: bool = True  # S3: latents projected per sample instead of per cell of the feature map


class Step:
    """The loss of one step of the same task and weights."""

    def __init__(self, task: PixelNerfPretraining, folder: Path, how: Literal) -> None:
        self.task, self.folder, self.how = task, folder, how

    def loss(self, step: int, generator: torch.Generator) -> Tensor:
        task, params = self.task, self.task.params
        objects, views = task.train.masks.shape[:2]
        chosen = integers(objects, (params.batch,), generator, task.device)
        source = integers(views, (params.batch,), generator, task.device)
        target = integers(views, (params.batch, params.rays), generator, task.device).flatten()
        index = torch.arange(params.batch, device=task.device).repeat_interleave(params.rays)
        rows, columns = task._pixels(chosen[index], target, step, generator)
        if self.how.png:
            images, truth, origins, directions = self._read(chosen, source, target, index, rows, columns)
        else:
            images = task.train.inputs[chosen, source] / 255
            truth = task.train.targets[chosen[index], target, :, rows, columns] / 255
            origins, directions = task._rays(task.train, chosen[index], target, rows, columns)
        cameras = task.train.world_to_camera[chosen, source], task.train.intrinsics[chosen, source]
        if not self.how.project_samples:
            scene = task.module.encode(images, *cameras)
            rendering = task.module.render(scene, index, origins, directions, generator)
            return functional.mse_loss(rendering.coarse, truth) + functional.mse_loss(rendering.fine, truth)
        return self._render(images, cameras, index, origins, directions, truth, generator)

    def _read(
        self, chosen: Tensor, source: Tensor, target: Tensor, index: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, ...]:
        """All views of the objects from files, rays of all their pixels; then the few that were drawn."""
        size = self.task.train.masks.shape[-1]
        images, truths, origins, directions = [], [], [], []
        for place, (number, first) in enumerate(zip(chosen.tolist(), source.tolist())):
            folder = self.folder / f"{number:05d}"
            pictures = [
                np.asarray(Image.open(path).convert("RGB")) for path in sorted((folder / "image").glob("*.png"))
            ]
            masks = [np.asarray(Image.open(path)) for path in sorted((folder / "mask").glob("*.png"))]
            boxes = [(np.flatnonzero(mask.any(0))[[0, -1]], np.flatnonzero(mask.any(1))[[0, -1]]) for mask in masks]
            assert len(boxes) == len(pictures)
            cameras = np.load(folder / "cameras.npz")
            poses = torch.from_numpy(np.stack([cameras[f"world_mat_{view}"] for view in range(len(pictures))]))
            optics = torch.from_numpy(np.stack([cameras[f"camera_mat_{view}"] for view in range(len(pictures))]))
            stack = torch.stack([torch.from_numpy(picture.astype(np.float32) / 255) for picture in pictures])
            everything = torch.arange(size * size).expand(len(pictures), -1)
            all_origins, all_directions = pixel_rays(poses, optics, everything, size)
            all_directions = functional.normalize(all_directions, dim=2)
            mine = (index == place).cpu()
            wanted = target.cpu()[mine], (rows * size + columns).cpu()[mine]
            images.append(stack[first].permute(2, 0, 1))
            truths.append(stack.flatten(1, 2)[wanted])
            origins.append(all_origins[wanted])
            directions.append(all_directions[wanted])
        device = self.task.device
        joined = (torch.cat(tensors).to(device) for tensors in (truths, origins, directions))
        return torch.stack(images).to(device), *joined

    def _render(
        self,
        images: Tensor,
        cameras: tuple[Tensor, Tensor],
        index: Tensor,
        origins: Tensor,
        directions: Tensor,
        truth: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        module, params = self.task.module, self.task.params
        features = module.pyramid(images)
        near, far = module.interval(origins, directions)
        rotation = cameras[0][index, :3, :3]
        turned = ((rotation @ vectors.unsqueeze(2)).squeeze(2) for vectors in (origins, directions))
        rays = SourceRays(index, *turned, cameras[0][index, :3, 3], cameras[1][index])
        size = images.shape[2:]
        depths = stratified(near, far, params.coarse_samples, generator)
        coarse = _pass(module.coarse, features, rays, depths, far, size, module.background)
        by_weight = importance(coarse.weights, near, far, params.importance_samples, generator)
        guided = around_depth(coarse.depth, near, far, params.depth_samples, generator)
        depths = torch.cat([depths, by_weight, guided], dim=1).sort(dim=1).values
        fine = _pass(module.fine, features, rays, depths, far, size, module.background)
        return functional.mse_loss(coarse.colour, truth) + functional.mse_loss(fine.colour, truth)


def _pass(
    mlp: ConditionedMlp,
    features: Tensor,
    rays: SourceRays,
    depths: Tensor,
    far: Tensor,
    size: tuple,
    background: Tensor,
) -> Composite:
    count, samples = depths.shape
    points = rays.origins[:, None] + depths[..., None] * rays.directions[:, None]
    projected = torch.einsum("nij,nkj->nki", rays.intrinsics, points + rays.translations[:, None])
    pixels = projected[..., :2] / projected[..., 2:].clamp_min(MIN_DEPTH)
    batch, channels, height, width = features.shape
    cells = torch.stack([(pixels[..., 0] - 0.5) * width / size[1], (pixels[..., 1] - 0.5) * height / size[0]], -1)
    grid = 2 * cells / torch.tensor([width - 1, height - 1], device=cells.device) - 1
    # Every object has the same number of rays: (B, rays, samples, 2).
    sampled = functional.grid_sample(
        features, grid.unflatten(0, (batch, -1)), mode="bilinear", padding_mode="border", align_corners=True
    )
    latent = sampled.permute(0, 2, 3, 1).reshape(-1, channels)
    view = rays.directions[:, None].expand(count, samples, 3).flatten(0, 1)
    x = mlp.input(torch.cat([positional_encoding(points.flatten(0, 1)), view], dim=1))
    added = mlp.latent(latent).chunk(CONDITIONED_BLOCKS, dim=1)
    for number, block in enumerate(mlp.blocks):
        x = block(x + added[number] if number < CONDITIONED_BLOCKS else x)
    out = mlp.output(torch.relu(x))
    sigma = torch.relu(out[:, 3]) if mlp.activation == "relu" else functional.softplus(out[:, 3] - 1)
    colour = torch.sigmoid(out[:, :3])
    return composite(sigma.view(count, samples), colour.view(count, samples, 3), depths, far, background)
