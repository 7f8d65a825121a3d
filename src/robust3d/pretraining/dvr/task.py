"""DVR as a pre-training task: random pixels of random views, losses on pixel sets, reconstructions.

Intended differences from the reference implementation:

- Rays that miss the padded cube, which contains all objects, are skipped. (The reference marches them over a fixed
  depth range.)
- A ray that starts inside the object has no surface point and so no colour or normal loss. (The reference takes its
  colour at the camera's centre.)
- A ray that meets the padded cube, but not the unit cube where objects are, is supervised to be occupied somewhere in
  the padding if the mask says so. (The reference takes a point of the fixed depth range, mostly outside both cubes.)
- Pixels are looked up by index at their centres. (The reference reads the last row and column as empty.)
- Objects are drawn at every step with replacement, not in shuffled epochs: a step then depends on its number alone, so
  that an interrupted run continues to the same weights. On average an epoch leaves out a third of the objects.
- Learning rates decay at steps, not epochs, and the output is the last weights: see `robust3d.pretraining.dvr.params`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from robust3d.data.multiview import Multiview
from robust3d.errors import UserError
from robust3d.models.dvr import DVR, Decoder
from robust3d.models.encoder import seeded_initialisation
from robust3d.models.implicit import (
    Field,
    Hits,
    at,
    cube_interval,
    first_hit,
    implicit_depth,
    normals,
    pixel_rays,
)
from robust3d.models.visual_hull import hull_depth, shows_whole
from robust3d.pretraining.dvr.params import Params
from robust3d.seeds import torch_generator
from robust3d.training.draws import integers
from robust3d.training.metrics import best_constant_mask, mask_iou
from robust3d.training.views import ViewPretraining

Anchor = Callable[[Tensor], Tensor]  # indices of rays to depths that are taken as occupied, inf where unknown

BASELINE_IMAGES = 1024  # evenly spaced training images, from which the constant baselines are computed


class PixelSets(NamedTuple):
    """Which pixels (R,) bool each loss is summed over."""

    surface: Tensor  # colour and depth: a true and a predicted surface
    normal: Tensor
    freespace: Tensor
    occupancy: Tensor


def pixel_sets(mask: Tensor, hits: Hits, mode: str) -> PixelSets:
    """Pixel sets of the losses.

    The equations (Geon3D appendix C, mode "paper") put the free-space loss on false hits and smooth the
    normals of correct hits. The reference code (mode "code") takes all pixels outside the mask and all hits.

    Args:
        mask: (R,) bool, the object's true mask.
        hits: of the same R rays.
        mode: "code" or "paper".
    """
    predicted = hits.crossing | hits.inside
    surface = hits.crossing & mask
    if mode == "code":
        return PixelSets(surface, hits.crossing, ~mask, mask & ~predicted)
    return PixelSets(surface, surface, predicted & ~mask, mask & ~predicted)


@dataclass(frozen=True)
class RayBatch:
    """R rays inside the padded cube, with the pixels of their target views."""

    owner: Tensor  # (R,) row of the ray's object in the batch
    origins: Tensor  # (R, 3)
    directions: Tensor  # (R, 3)
    near: Tensor  # (R,) padded cube
    far: Tensor  # (R,)
    colour: Tensor  # (R, 3) in [0, 1]
    mask: Tensor  # (R,) bool
    depth: Tensor  # (R,) camera z, inf outside the mask


def take_rays(views: Multiview, objects: Tensor, view: Tensor, pixels: Tensor, half_size: float) -> RayBatch:
    """Gather pixels (B, P) of one view (B,) of each object (B,) and drop rays that miss the cube."""
    origins, directions = pixel_rays(
        views.world_to_camera[objects, view], views.intrinsics[objects, view], pixels, views.masks.shape[-1]
    )
    rows, columns = objects[:, None], view[:, None]
    colour = views.targets.flatten(3).movedim(2, 3)[rows, columns, pixels].flatten(0, 1) / 255
    mask = views.masks.flatten(2)[rows, columns, pixels].flatten()
    depth = views.depth.flatten(2)[rows, columns, pixels].flatten()
    origins, directions = origins.flatten(0, 1), directions.flatten(0, 1)
    near, far, meets = cube_interval(origins, directions, half_size)
    owner = torch.arange(len(objects), device=pixels.device).repeat_interleave(pixels.shape[1])
    everything = (owner, origins, directions, near, far, colour, mask, depth)
    return RayBatch(*(table[meets] for table in everything))


def dvr_losses(
    decoder: Decoder,
    condition: Tensor,
    rays: RayBatch,
    anchor: Anchor,
    params: Params,
    step: int,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], Hits]:
    """The losses as sums over their pixel sets, without weights and not yet divided by the batch size.

    Args:
        decoder: occupancy and colour.
        condition: (B, blocks, width) of the batch's objects.
        rays: their pixels.
        anchor: gives the depths at which the occupancy loss is evaluated, for the rays it applies to; inf: random.
        params: the method's parameters.
        step: chooses the number of march steps.
        generator: of the random points.
    """
    field = decoder.field(condition, rays.owner)
    hits = first_hit(
        field,
        rays.origins,
        rays.directions,
        rays.near,
        rays.far,
        march_steps=params.march_steps_at(step),
        secant_steps=params.secant_steps,
        chunk_points=params.chunk_points,
    )
    sets = pixel_sets(rays.mask, hits, params.loss_mode)
    losses = _surface_losses(decoder, condition, field, rays, hits.depth, sets.surface.nonzero()[:, 0])
    losses |= _occupancy_losses(field, rays, hits, sets, anchor, generator)
    if params.losses.normal:
        losses["normal"] = _normal_loss(field, rays, hits, sets.normal, params.normal_step, generator)
    return losses, hits


def _surface_losses(
    decoder: Decoder, condition: Tensor, field: Field, rays: RayBatch, depth: Tensor, chosen: Tensor
) -> dict[str, Tensor]:
    """L1 of colour and depth at predicted surface points; the gradient reaches the surface by the implicit gradient."""
    origins, directions = rays.origins[chosen], rays.directions[chosen]
    depth = implicit_depth(field, origins, directions, chosen, depth[chosen])
    points = at(origins, directions, depth)
    output = decoder(points[:, None], condition.index_select(0, rays.owner[chosen]))[:, 0]
    return {
        "rgb": (output[:, 1:].sigmoid() - rays.colour[chosen]).abs().sum(),
        "depth": (depth - rays.depth[chosen]).abs().sum(),
    }


def _occupancy_losses(
    field: Field, rays: RayBatch, hits: Hits, sets: PixelSets, anchor: Anchor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Binary cross-entropy of free and of occupied space at one point per pixel, for the pixels of their sets only.

    The free-space point is on the false surface, else random on the ray in the padded cube. The occupied point is at
    `anchor`, else random on the ray in the unit cube (in the padded cube, if the ray does not meet the unit cube).
    """
    random = _uniform(len(rays.near), generator, rays.near)
    free_depth = torch.where(hits.depth.isfinite(), hits.depth, rays.near + random * (rays.far - rays.near))
    near, far, meets = cube_interval(rays.origins, rays.directions, 0.5)
    near, far = torch.where(meets, near, rays.near), torch.where(meets, far, rays.far)
    free, occupied = sets.freespace.nonzero()[:, 0], sets.occupancy.nonzero()[:, 0]
    known = anchor(occupied)
    occupied_depth = torch.where(known.isfinite(), known, (near + random * (far - near))[occupied])
    chosen = torch.cat((free, occupied))
    depth = torch.cat((free_depth[free], occupied_depth))
    points = at(rays.origins[chosen], rays.directions[chosen], depth)
    logits = field(points[:, None], chosen)[:, 0]
    return {
        "freespace": softplus(logits[: len(free)]).sum(),
        "occupancy": softplus(-logits[len(free) :]).sum(),
    }


def _normal_loss(
    field: Field, rays: RayBatch, hits: Hits, where: Tensor, step: float, generator: torch.Generator
) -> Tensor:
    """Distance between the normal of a surface point and that of a random neighbour, per pixel."""
    chosen = where.nonzero()[:, 0]
    points = at(rays.origins[chosen], rays.directions[chosen], hits.depth[chosen])
    neighbours = points + (_uniform((len(chosen), 3), generator, points) - 0.5) * step
    pair = normals(field, torch.stack((points, neighbours), 1), chosen, step)
    squared = (pair[:, 0] - pair[:, 1]).square().sum(-1)
    return torch.where(squared > 0, squared, 1).sqrt().mul(squared > 0).sum()  # a norm whose gradient at 0 is 0


def _uniform(shape: int | tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)


class DVRPretraining(ViewPretraining):
    """Trains encoder and decoder on pairs of views of an object.

    Args:
        params: of the method.
        encoder: images (B, 3, H, W) in [0, 1] to (B, encoder.feature_dim).
        train: training views.
        held_out: views of other instances, for validation and reconstructions.
        seed: of all initial weights but the encoder's, and of the validation views.
        device: of module and data.
    """

    params: Params
    module: DVR

    def build(self) -> DVR:
        """The decoder on the encoder."""
        self.half_size = (1 + self.params.padding) / 2
        with seeded_initialisation(self.seed, "dvr"):
            decoder = Decoder(self.params.hidden)
            if self.params.initialisation == "geometric":
                decoder.start_as_sphere(self.params.initial_radius)
            return DVR(self.encoder, self.encoder.feature_dim, decoder, input_px=self.params.input_px)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted losses of `batch` objects, each with one input view and another target view, drawn independently."""
        objects, view_count = self.train.masks.shape[:2]
        draws = (objects, view_count, view_count)
        chosen, view_in, view_out = (integers(n, (self.params.batch,), generator, self.device) for n in draws)
        shape = (self.params.batch, self.params.pixels)
        pixels = integers(self.train.masks[0, 0].numel(), shape, generator, self.device)
        condition = self.module.condition(self.train.inputs[chosen, view_in] / 255)
        rays = take_rays(self.train, chosen, view_out, pixels, self.half_size)
        losses, hits = dvr_losses(
            self.module.decoder, condition, rays, self._anchor(rays, chosen), self.params, step, generator
        )
        losses = {name: value / self.params.batch for name, value in losses.items()}
        weights = self.params.losses.model_dump()
        total = torch.stack([weights[name] * value for name, value in losses.items() if weights[name]]).sum()
        metrics = {name: value.detach() for name, value in losses.items()}
        hit = (hits.crossing | hits.inside).sum() / pixels.numel()
        return total, metrics | {"hit_fraction": hit}

    def validate(self) -> dict[str, float]:
        """Mask IoU, and depth error (if the data set has depth) and PSNR where both masks are true.

        Baselines: the best constant mask; median depth and mean colour of the training objects' pixels.
        """
        objects, view_in, view_out = self._pairs(self.params.validation_images)
        colour, hit, depth = self._render(objects, view_in, view_out)
        truth = self.held_out.targets[objects, view_out].flatten(2).mT / 255
        mask = self.held_out.masks[objects, view_out].flatten(1)
        true_depth = self.held_out.depth[objects, view_out].flatten(1)
        both = hit & mask
        constant_mask, constant_colour, constant_depth = self._constants
        known = both & ~true_depth.isnan()
        errors = {
            "depth_mae": _mean((depth - true_depth).abs()[known]),
            "depth_mae_baseline": _mean((constant_depth - true_depth).abs()[known]),
        }
        return {
            "mask_iou": mask_iou(hit, mask),
            "mask_iou_baseline": mask_iou(constant_mask.flatten().expand_as(mask), mask),
            **({} if true_depth[mask].isnan().all() else errors),
            "psnr": _psnr(colour[both], truth[both]),
            "psnr_baseline": _psnr(constant_colour.expand_as(truth)[both], truth[both]),
            "hit_fraction": float(hit.double().mean()),
        }

    def collapse(self, validation: dict[str, float]) -> str | None:
        """Collapsed when no ray or every ray of the held-out views hits."""
        if validation["hit_fraction"] in (0.0, 1.0):
            what = "no ray meets a surface" if validation["hit_fraction"] == 0 else "every ray meets a surface"
            return f"DVR has collapsed: {what} in the held-out views"
        return None

    def score(self, validation: dict[str, float]) -> float:
        """Mask IoU: the reference selects by the mask when it trains on colour."""
        return validation["mask_iou"]

    def reconstructions(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """True and predicted colour of n held-out targets over white, each uint8 (n, H, W, 3)."""
        objects, view_in, view_out = self._pairs(n)
        with self.in_eval_mode():
            ours = self._render(objects, view_in, view_out)[0].mul(255).round().to(torch.uint8)
        targets = self.held_out.targets[objects, view_out].movedim(1, -1)
        mask = self.held_out.masks[objects, view_out][..., None]
        truth = torch.where(mask, targets, torch.full_like(targets, 255))
        return truth.cpu().numpy(), ours.unflatten(1, truth.shape[1:3]).cpu().numpy()

    def _anchor(self, rays: RayBatch, objects: Tensor) -> Anchor:
        """Depths that are known or assumed to be occupied, by the kind of supervision."""
        if self.params.losses.depth:
            if rays.depth.isnan().any():
                raise UserError("pretraining.params.losses.depth: this data set has no depth maps; set it to 0")
            return lambda chosen: rays.depth[chosen]
        if self.params.occupancy_point == "random":
            return lambda chosen: torch.full_like(rays.near[chosen], torch.inf)
        cameras = self.train.masks, self.train.world_to_camera, self.train.intrinsics
        return lambda chosen: hull_depth(
            rays.origins[chosen], rays.directions[chosen], objects[rays.owner[chosen]], *cameras, whole=self._whole
        )

    @cached_property
    def _whole(self) -> Tensor:
        """Which training views (O, V) contain the whole object."""
        return shows_whole(self.train.masks)

    def _render(self, objects: Tensor, view_in: Tensor, view_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Held-out views: colour over white (N, H*W, 3), hit (N, H*W), depth (N, H*W)."""
        pixels = torch.arange(self.held_out.masks[0, 0].numel(), device=self.device)
        colours, hits, depths = [], [], []
        for one in zip(objects.split(1), view_in.split(1), view_out.split(1), strict=True):
            condition = self.module.condition(self.held_out.inputs[one[0], one[1]] / 255)
            colour, hit, depth = self._render_one(condition, one[0], one[2], pixels)
            colours.append(colour)
            hits.append(hit)
            depths.append(depth)
        return torch.stack(colours), torch.stack(hits), torch.stack(depths)

    def _render_one(
        self, condition: Tensor, objects: Tensor, view: Tensor, pixels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        cameras = self.held_out.world_to_camera[objects, view], self.held_out.intrinsics[objects, view]
        origins, directions = (table[0] for table in pixel_rays(*cameras, pixels[None], self.held_out.masks.shape[-1]))
        near, far, meets = cube_interval(origins, directions, self.half_size)
        origins, directions, inside = origins[meets], directions[meets], meets.nonzero()[:, 0]
        decoder = self.module.decoder
        found = first_hit(
            decoder.field(condition, torch.zeros_like(inside)),
            origins,
            directions,
            near[meets],
            far[meets],
            march_steps=self.params.validation_march_steps,
            secant_steps=self.params.secant_steps,
            chunk_points=self.params.chunk_points,
        )
        depth = torch.full_like(near, torch.inf).index_copy(0, inside, found.depth)
        hit = depth.isfinite()
        colour = torch.ones_like(pixels[:, None].expand(-1, 3), dtype=depth.dtype)
        surface = at(origins, directions, found.depth)[found.depth.isfinite()]
        colour[hit] = decoder(surface[None], condition)[0, :, 1:].sigmoid()
        return colour, hit, depth

    def _pairs(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Object, input view and target view of n held-out images, deterministic."""
        count, views = self.held_out.masks.shape[:2]
        generator = torch_generator(self.seed, "dvr", "validation")
        order = torch.randperm(count, generator=generator)
        objects = order.repeat(math.ceil(n / count))[:n]
        views_in, views_out = (torch.randint(views, (n,), generator=generator) for _ in range(2))
        return objects.to(self.device), views_in.to(self.device), views_out.to(self.device)

    @cached_property
    def _constants(self) -> tuple[Tensor, Tensor, Tensor]:
        """Baselines that ignore the input: best constant mask (H, W), mean colour (3,), median depth."""
        stride = math.ceil(self.train.masks[:, :, 0, 0].numel() / BASELINE_IMAGES)
        masks = self.train.masks.flatten(0, 1)[::stride]
        colours = self.train.targets.flatten(0, 1)[::stride].movedim(1, -1)[masks]
        depth = self.train.depth.flatten(0, 1)[::stride][masks].nanmedian()
        return best_constant_mask(masks), colours.float().mean(0) / 255, depth


def _mean(values: Tensor) -> float:
    """Mean, or 0 of no values (no pixel is in both masks; the IoU shows that)."""
    return float(values.double().mean()) if values.numel() else 0.0


def _psnr(pred: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB over all given pixels; 0 where there are none."""
    if not len(pred):
        return 0.0
    return float(-10 * (pred.double() - truth.double()).square().mean().log10())
