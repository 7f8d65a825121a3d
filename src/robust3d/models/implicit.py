"""The surface of an occupancy logit: pixel rays, first hits (march, secant), implicit gradient, normals.

Pure maths on flat lists of rays, without any network. A `Field` maps points (M, K, 3) and the number (M,) of
the ray that each row belongs to, to occupancy logits (M, K); the surface is its zero level, positive inside.
It must compute in float32 or better: finite-difference normals and the secant fail in half precision.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]

MIN_SLOPE = 1e-3  # smallest |df/dd| that the implicit gradient divides by (reference implementation)
MIN_NORM = 1e-5  # smallest norm that a difference of logits is divided by (reference implementation)


class Hits(NamedTuple):
    """Where R rays meet the surface; a ray crosses it, starts inside it, or is free everywhere."""

    depth: Tensor  # (R,) camera z of the first crossing, or of the first sample if inside; inf if free
    crossing: Tensor  # (R,) bool: goes from free to occupied, so it has a surface point
    inside: Tensor  # (R,) bool: already occupied at its first sample, so it has no surface point


def pixel_rays(world_to_camera: Tensor, intrinsics: Tensor, pixels: Tensor, width_px: int) -> tuple[Tensor, Tensor]:
    """Rays through pixel centres.

    Directions are not normalised: they advance camera z by one, so the ray parameter is the depth.

    Args:
        world_to_camera: (B, 4, 4), OpenCV axes.
        intrinsics: (B, 3, 3) in pixels, pixel centres at half-integers.
        pixels: (B, P) row-major pixel numbers.
        width_px: image width.

    Returns:
        Origins (B, P, 3) and directions (B, P, 3) in world space.
    """
    column, row = pixels % width_px, pixels // width_px
    centres = torch.stack((column + 0.5, row + 0.5, torch.ones_like(column)), -1).to(intrinsics)
    rotation, translation = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3:]
    directions = centres @ torch.linalg.inv(intrinsics).mT @ rotation  # row vectors: (R^T K^-1 u)^T
    origins = -(rotation.mT @ translation).mT
    return origins.expand_as(directions), directions


def cube_interval(origins: Tensor, directions: Tensor, half_size: float) -> tuple[Tensor, Tensor, Tensor]:
    """Depths between which rays are inside the cube [-half_size, half_size]^3 and in front of the camera.

    Args:
        origins: (R, 3).
        directions: (R, 3).
        half_size: half the side length of the cube.

    Returns:
        near (R,), far (R,), and whether the ray meets the cube, (R,) bool.
    """
    safe = torch.where(directions.abs() < 1e-12, torch.full_like(directions, 1e-12), directions)
    one, other = (-half_size - origins) / safe, (half_size - origins) / safe
    near = torch.minimum(one, other).amax(-1).clamp(min=0)
    far = torch.maximum(one, other).amin(-1)
    return near, far, far > near


def at(origins: Tensor, directions: Tensor, depth: Tensor) -> Tensor:
    """The points (..., 3) at `depth` (...) along rays."""
    return origins + depth[..., None] * directions


@torch.no_grad()
def first_hit(
    field: Field,
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    *,
    march_steps: int,
    secant_steps: int = 8,
    chunk_points: int = 65536,
) -> Hits:
    """First free-to-occupied crossing of each ray: uniform march, then secant refinement of the bracket.

    Args:
        field: occupancy logits.
        origins: (R, 3).
        directions: (R, 3).
        near: (R,) depth of the first sample.
        far: (R,) depth of the last sample.
        march_steps: number of uniformly spaced samples, both ends included.
        secant_steps: regula-falsi iterations on the bracketing interval.
        chunk_points: points evaluated at once; affects memory only.

    Returns:
        The hits, without gradient (see `implicit_depth`).
    """
    fractions = torch.linspace(0, 1, march_steps, dtype=near.dtype, device=near.device)
    samples = near[:, None] + (far - near)[:, None] * fractions
    rays = torch.arange(len(near), device=near.device)
    logits = torch.empty_like(samples)
    for part in rays.split(max(1, chunk_points // march_steps)):
        logits[part] = field(at(origins[part, None], directions[part, None], samples[part]), part)
    occupied = logits >= 0
    inside = occupied[:, 0]
    crossing = occupied.any(1) & ~inside
    depth = torch.full_like(near, torch.inf)
    depth[inside] = near[inside]
    rays = rays[crossing]
    last = occupied[rays].int().argmax(1)  # argmax gives the first maximum: the first occupied sample
    bracket = [table[rays, index] for table in (samples, logits) for index in (last - 1, last)]
    depth[rays] = _secant(field, origins[rays], directions[rays], rays, bracket, secant_steps)
    return Hits(depth, crossing, inside)


def _secant(
    field: Field, origins: Tensor, directions: Tensor, rays: Tensor, bracket: list[Tensor], steps: int
) -> Tensor:
    """Regula falsi between a free and an occupied depth; `bracket` holds both, then both logits."""
    low, high, f_low, f_high = bracket
    middle = low - f_low * (high - low) / (f_high - f_low)
    for _ in range(steps):
        f_middle = field(at(origins, directions, middle)[:, None], rays)[:, 0]
        free = f_middle < 0
        low, f_low = torch.where(free, middle, low), torch.where(free, f_middle, f_low)
        high, f_high = torch.where(free, high, middle), torch.where(free, f_high, f_middle)
        middle = low - f_low * (high - low) / (f_high - f_low)
    return middle


def implicit_depth(field: Field, origins: Tensor, directions: Tensor, rays: Tensor, depth: Tensor) -> Tensor:
    """The same depths, with gradients with respect to the parameters of `field`.

    Differentiating f(o + d w) = 0 gives dd/dtheta = -(df/dtheta) / (grad_p f . w) (DVR, section 3.3). Its
    first-order equal d - (f - stop(f)) / stop(grad_p f . w) has that gradient in one ordinary backward pass.

    Args:
        field: occupancy logits, differentiable in its parameters.
        origins: (M, 3) of rays that cross the surface.
        directions: (M, 3).
        rays: (M,) ray numbers passed to the field.
        depth: (M,) crossings found by `first_hit`.

    Returns:
        (M,) values of `depth` with the implicit gradient.
    """
    points = at(origins, directions, depth).detach().requires_grad_()
    logits = field(points[:, None], rays)[:, 0]
    (gradient,) = torch.autograd.grad(logits.sum(), points, retain_graph=True)
    slope = (gradient * directions).sum(-1)
    slope = torch.where(slope.abs() < MIN_SLOPE, torch.full_like(slope, MIN_SLOPE), slope)
    return depth.detach() - (logits - logits.detach()) / slope


def normals(field: Field, points: Tensor, rays: Tensor, step: float = 1e-3) -> Tensor:
    """Outward unit normals by central differences of the logit.

    Where the field is so flat that the differences have a norm below `MIN_NORM`, a gradient of 0.01 at the usual step,
    they are mostly rounding noise: the result is then shorter than 1, in proportion to the gradient.

    Args:
        field: occupancy logits.
        points: (M, K, 3) surface points, float32 or float64.
        rays: (M,) ray numbers passed to the field.
        step: distance between the two ends of a difference, in world units.

    Returns:
        (M, K, 3), differentiable in the field's parameters.

    Raises:
        TypeError: in half precision, where the difference is rounding noise.
    """
    count = points.shape[1]
    offsets = torch.cat((torch.eye(3), -torch.eye(3))).to(points) * (step / 2)
    logits = field((points[:, :, None] + offsets).flatten(1, 2), rays).unflatten(1, (count, 6))
    if logits.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"normals need float32 logits, got {logits.dtype}")
    return torch.nn.functional.normalize(logits[..., 3:] - logits[..., :3], dim=-1, eps=MIN_NORM)
