"""A DVR step as the published code takes it (Niemeyer et al. 2020), with the switches that undo it item by item.

It reads one PNG of image and mask and the cameras per object and view, evaluates every pixel of the batch for colour,
free and occupied space and masks afterwards, projects the code once per point where points are not batched by
object, and takes the surface's gradient by a custom backward pass of separate differentiations over all pixels.
Draws come in the order of `robust3d.pretraining.dvr.task`, so that the losses of both can be compared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from robust3d.data.multiview import Multiview
from robust3d.models.implicit import MIN_SLOPE, at, cube_interval, normals, pixel_rays
from robust3d.pretraining.dvr.task import DVRPretraining
from robust3d.training.draws import integers


@dataclass(frozen=True)
class Literal:
    """What is done as published; each can be switched off alone."""

    png: bool = True  # S1: files per step instead of arrays in memory
    custom_backward: bool = True  # S6: three passes over all pixels instead of the first-order equal on hits
    everywhere: bool = True  # S7: helper losses at all pixels, masked afterwards


def write_files(views: Multiview, folder: Path) -> None:
    """The published layout: image/0000.png, mask/0000.png and cameras.npz in a folder per object."""
    for number in range(len(views)):
        place = folder / f"{number:05d}"
        for kind in ("image", "mask"):
            (place / kind).mkdir(parents=True, exist_ok=True)
        cameras = {}
        for view in range(views.masks.shape[1]):
            Image.fromarray(views.targets[number, view].permute(1, 2, 0).numpy()).save(place / f"image/{view:04d}.png")
            mask = (views.masks[number, view].numpy() * 255).astype(np.uint8)
            Image.fromarray(mask).save(place / f"mask/{view:04d}.png")
            cameras[f"world_mat_{view}"] = views.world_to_camera[number, view].numpy()
            cameras[f"camera_mat_{view}"] = views.intrinsics[number, view].numpy()
        np.savez(place / "cameras.npz", **cameras)


class Step:
    """The loss of one step of the same task and weights."""

    def __init__(self, task: DVRPretraining, folder: Path, how: Literal) -> None:
        self.task, self.folder, self.how = task, folder, how

    def loss(self, step: int, generator: torch.Generator) -> Tensor:
        task, params = self.task, self.task.params
        objects, count = task.train.masks.shape[:2]
        counts = objects, count, count
        chosen, view_in, view_out = (integers(n, (params.batch,), generator, task.device) for n in counts)
        pixels = integers(task.train.masks[0, 0].numel(), (params.batch, params.pixels), generator, task.device)
        if self.how.png:
            images, truth, mask, pose, optics = self._read(chosen, view_in, view_out, pixels)
        else:
            images = task.train.inputs[chosen, view_in] / 255
            rows, columns = chosen[:, None], view_out[:, None]
            truth = task.train.targets.flatten(3).movedim(2, 3)[rows, columns, pixels] / 255
            mask = task.train.masks.flatten(2)[rows, columns, pixels]
            pose, optics = task.train.world_to_camera[chosen, view_out], task.train.intrinsics[chosen, view_out]
        code = task.module.to_code(task.module.encoder(images))
        origins, directions = pixel_rays(pose, optics, pixels, task.train.masks.shape[-1])
        return self._losses(code, origins, directions, truth.flatten(0, 1), mask.flatten(), step, generator)

    def _read(self, chosen: Tensor, view_in: Tensor, view_out: Tensor, pixels: Tensor) -> tuple[Tensor, ...]:
        images, truths, masks, poses, optics = [], [], [], [], []
        for number, first, second, where in zip(chosen.tolist(), view_in.tolist(), view_out.tolist(), pixels.cpu()):
            place = self.folder / f"{number:05d}"
            names = {kind: sorted((place / kind).glob("*.png")) for kind in ("image", "mask")}
            seen = np.asarray(Image.open(names["image"][first]).convert("RGB"))
            target = np.asarray(Image.open(names["image"][second]).convert("RGB"))
            mask = np.asarray(Image.open(names["mask"][second]))
            cameras = np.load(place / "cameras.npz")
            images.append(torch.from_numpy(seen.astype(np.float32) / 255).permute(2, 0, 1))
            truths.append(torch.from_numpy(target.astype(np.float32) / 255).reshape(-1, 3)[where])
            masks.append(torch.from_numpy(mask != 0).flatten()[where])
            poses.append(torch.from_numpy(cameras[f"world_mat_{second}"]))
            optics.append(torch.from_numpy(cameras[f"camera_mat_{second}"]))
        return tuple(torch.stack(tensors).to(self.task.device) for tensors in (images, truths, masks, poses, optics))

    def _losses(
        self,
        code: Tensor,
        origins: Tensor,
        directions: Tensor,
        truth: Tensor,
        mask: Tensor,
        step: int,
        generator: torch.Generator,
    ) -> Tensor:
        params, decoder = self.task.params, self.task.module.decoder
        batch, count = origins.shape[:2]
        owner = torch.arange(batch, device=mask.device).repeat_interleave(count)
        o, d = origins.flatten(0, 1), directions.flatten(0, 1)
        near, far, meets = cube_interval(o, d, self.task.half_size)
        depth, crossing, inside = self._first_hit(code.detach(), o, d, near, far, owner, params.march_steps_at(step))
        crossing, inside = crossing & meets, inside & meets
        safe = torch.where(crossing, depth, near)
        surface = crossing & mask
        random = torch.zeros_like(near)
        random[meets] = torch.rand(int(meets.sum()), generator=generator, device=generator.device).to(near)
        free = torch.where(crossing, depth, torch.where(inside, near, near + random * (far - near)))
        low, high, unit = cube_interval(o, d, 0.5)
        low, high = torch.where(unit, low, near), torch.where(unit, high, far)
        filled = low + random * (high - low)
        chosen = (lambda where: torch.ones_like(where)) if self.how.everywhere else (lambda where: where)
        evaluate = {"rgb": chosen(surface), "free": chosen(~mask), "filled": chosen(mask)}

        at_surface = evaluate["rgb"].nonzero()[:, 0]
        if self.how.custom_backward:
            found = LiteralDepth.apply(safe[at_surface], o[at_surface], d[at_surface], owner[at_surface], decoder, code,
                                       crossing[at_surface], *decoder.parameters())  # fmt: skip
        else:
            found = _reparameterised(decoder, code, safe, o, d, owner, crossing)[at_surface]
        colour = per_point(decoder, at(o[at_surface], d[at_surface], found), code[owner[at_surface]])[:, 1:].sigmoid()
        rgb = ((colour - truth[at_surface]).abs().sum(1) * surface[at_surface]).sum()

        def space(depths: Tensor, where: Tensor, counted: Tensor, sign: float) -> Tensor:
            rows = where.nonzero()[:, 0]
            logits = per_point(decoder, at(o[rows], d[rows], depths[rows]), code[owner[rows]])[:, 0]
            return (functional.softplus(sign * logits) * counted[rows]).sum()

        freespace = space(free, evaluate["free"], ~mask & meets, 1.0)
        occupancy = space(filled, evaluate["filled"], mask & ~crossing & ~inside & meets, -1.0)
        hits = crossing.nonzero()[:, 0]
        points = at(o[hits], d[hits], depth[hits]).detach()
        offset = torch.rand((len(hits), 3), generator=generator, device=generator.device).to(points) - 0.5
        pair = torch.stack((points, points + offset * params.normal_step), 1)
        turned = normals(
            lambda p, rays: per_point(
                decoder, p.flatten(0, 1), code[owner[hits][rays]].repeat_interleave(p.shape[1], 0)
            )[:, 0].unflatten(0, p.shape[:2]),
            pair,
            torch.arange(len(hits), device=points.device),
            params.normal_step,
        )
        squared = (turned[:, 0] - turned[:, 1]).square().sum(-1)
        normal = torch.where(squared > 0, squared, 1).sqrt().mul(squared > 0).sum()
        weights = params.losses
        total = weights.rgb * rgb + weights.freespace * freespace + weights.occupancy * occupancy
        return (total + weights.normal * normal) / params.batch

    @torch.no_grad()
    def _first_hit(
        self, code: Tensor, o: Tensor, d: Tensor, near: Tensor, far: Tensor, owner: Tensor, steps: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """March all rays, batched by object, then refine the crossings."""
        decoder, batch = self.task.module.decoder, len(code)
        samples = near[:, None] + (far - near)[:, None] * torch.linspace(0, 1, steps, device=near.device)
        points = at(o[:, None], d[:, None], samples).unflatten(0, (batch, -1)).flatten(1, 2)
        logits = decoder(points, decoder.condition(code))[..., 0].reshape(len(near), steps)
        occupied = logits >= 0
        inside, crossing = occupied[:, 0], occupied.any(1) & ~occupied[:, 0]
        rays = crossing.nonzero()[:, 0]
        last = occupied[rays].int().argmax(1)
        low, high = samples[rays, last - 1], samples[rays, last]
        f_low, f_high = logits[rays, last - 1], logits[rays, last]
        middle = low - f_low * (high - low) / (f_high - f_low)
        for _ in range(self.task.params.secant_steps):
            f_middle = per_point(decoder, at(o[rays], d[rays], middle), code[owner[rays]])[:, 0]
            free = f_middle < 0
            low, f_low = torch.where(free, middle, low), torch.where(free, f_middle, f_low)
            high, f_high = torch.where(free, high, middle), torch.where(free, f_high, f_middle)
            middle = low - f_low * (high - low) / (f_high - f_low)
        return near.clone().index_copy(0, rays, middle), crossing, inside


def per_point(decoder, points: Tensor, code: Tensor) -> Tensor:
    """Points (M, 3), each with its code (M, 256), whose projections are computed for every point anew."""
    x = decoder.point(points)
    for block, layer in zip(decoder.blocks, decoder.conditioning):
        x = block(x + layer(code))
    return decoder.output(torch.relu(x))


class LiteralDepth(torch.autograd.Function):
    """Depths whose gradient is -(df/dtheta) / (grad_p f . w), by a differentiation each for p, code and weights."""

    @staticmethod
    def forward(ctx, depth, origins, directions, owner, decoder, code, crossing, *parameters):
        ctx.save_for_backward(depth, origins, directions, owner, code, crossing, *parameters)
        ctx.decoder = decoder
        return depth.clone()

    @staticmethod
    def backward(ctx, upstream):
        depth, origins, directions, owner, code, crossing, *parameters = ctx.saved_tensors
        with torch.enable_grad():
            points = at(origins, directions, depth).detach().requires_grad_()
            code = code.detach().requires_grad_()
            logits = per_point(ctx.decoder, points, code[owner])[:, 0]
            (spatial,) = torch.autograd.grad(logits.sum(), points, retain_graph=True)
            slope = (spatial * directions).sum(-1)
            slope = torch.where(slope.abs() < MIN_SLOPE, MIN_SLOPE, slope)
            weight = -(upstream * crossing) / slope
            (to_code,) = torch.autograd.grad(logits, code, weight, retain_graph=True)
            to_weights = torch.autograd.grad(logits, parameters, weight, allow_unused=True)
        return None, None, None, None, None, to_code, None, *to_weights


def _reparameterised(decoder, code, depth, o, d, owner, crossing) -> Tensor:
    from robust3d.models.implicit import implicit_depth

    rays = crossing.nonzero()[:, 0]
    field = decoder.field(decoder.condition(code), owner)
    return depth.index_copy(0, rays, implicit_depth(field, o[rays], d[rays], rays, depth[rays]))
