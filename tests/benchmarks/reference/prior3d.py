"""A step of 3D-Prior as the paper words it, for the same task, weights and draws as ours; no code of it is published.

Each image's planes are looked up by themselves, one after the other; every sample goes through the whole field; and the
second pass evaluates the first one's samples once more, as NeRF does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from robust3d.models.triplane import PLANES, TriplaneDecoder, sample_each
from robust3d.models.volume_rendering import Samples, further_depths, stratified
from robust3d.pretraining.prior3d.losses import density, error
from robust3d.pretraining.prior3d.task import Prior3dPretraining


@dataclass(frozen=True)
class Literal:
    """What is done as worded; each can be switched off alone."""

    each_image: bool = True  # look-ups of each image and plane, instead of together
    at_once: bool = True  # the field's layers run on all points at once, instead of in parts that fit into the cache
    again: bool = True  # the second pass evaluates all samples, instead of its own only


class Step:
    """The loss of one step of the same task and weights."""

    def __init__(self, task: Prior3dPretraining, how: Literal) -> None:
        self.task, self.how = task, how

    def loss(self, step: int, generator: torch.Generator) -> Tensor:
        task, params = self.task, self.task.params
        task.encoder.eval()
        inputs, targets, depth = task.draw(generator)
        pixels = task._pixels(inputs.shape[2] * inputs.shape[3], generator)
        tokens = task.encoder.tokens(inputs)
        colour, z, densities = self._render(task.module.decoder.planes(tokens), pixels, generator)
        truth, known = task._target_depth(depth.flatten(1)[:, pixels])
        return (
            params.rgb_weight * error(colour, targets.flatten(2)[:, :, pixels].mT, params.error)
            + params.depth_weight * error(z, truth, params.error, known)
            + params.density_weight * density(densities, params.density_term, z)
            + params.distillation_weight * task._distillation(inputs, tokens)
        )

    def _render(self, planes: Tensor, pixels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        decoder = self.task.module.decoder
        assert isinstance(decoder, TriplaneDecoder)
        camera, count, rays = decoder.camera, len(planes), len(pixels)
        near, far = (planes.new_full((rays,), limit) for limit in (camera.near, camera.far))
        depths = stratified(near, far, decoder.samples, generator).repeat(count, 1)
        near, far = near.repeat(count), far.repeat(count)
        sigma, colour = self._field(planes, pixels, depths)
        last = decoder.composite(Samples(depths, sigma, colour), far)
        further = further_depths(last, near, far, decoder.importance_samples, 0, generator)
        every, order = torch.cat([depths, further], dim=1).sort(dim=1)
        if self.how.again:
            sigma, colour = self._field(planes, pixels, every)
        else:
            more = self._field(planes, pixels, further)
            sigma = torch.cat([sigma, more[0]], dim=1).gather(1, order)
            colour = torch.cat([colour, more[1]], dim=1).gather(1, order[..., None].expand(*order.shape, 3))
        last = decoder.composite(Samples(every, sigma, colour), far)
        depth = last.depth + (1 - last.opacity) * far
        return last.colour.view(count, rays, 3), depth.view(count, rays), sigma

    def _field(self, planes: Tensor, pixels: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
        """Density and colour at depths (N R, K) of the rays through pixels (R,)."""
        decoder = self.task.module.decoder
        assert isinstance(decoder, TriplaneDecoder)
        points = decoder.camera.points(pixels, depths.view(len(planes), len(pixels), -1)).flatten(1, 2)
        if not self.how.each_image:
            features = sample_each(planes, points)
        else:
            features = torch.stack([self._of_image(*one) for one in zip(planes, points)])
        if self.how.at_once:
            out = decoder.field(features)
            sigma, colour = functional.softplus(out[..., 3] + decoder.shift), torch.sigmoid(out[..., :3])
        else:
            sigma, colour = decoder.radiance(features)
        return sigma.view_as(depths), colour.view(*depths.shape, 3)

    @staticmethod
    def _of_image(planes: Tensor, points: Tensor) -> Tensor:
        """(M, C) of one image's planes (3, C, P, P) at points (M, 3)."""
        found = [
            functional.grid_sample(
                plane[None], points[None, None, :, axes], padding_mode="border", align_corners=False
            )[0, :, 0].T
            for plane, axes in zip(planes, map(list, PLANES))
        ]
        return torch.stack(found).mean(0)
