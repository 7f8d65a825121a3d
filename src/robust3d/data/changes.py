"""Changes of one factor in pictures of rendered objects, which keep object, view, light and background.

Sizes, pans and zooms are what a camera would do: the first changes its focal length, the others move the picture during
the exposure. The focus is a thin lens': the blur grows with the difference of inverse depths. The background has no
depth; it counts as a wall behind the object's farthest point.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robust3d.data.compositing import U8
from robust3d.data.params import ChangeParams
from robust3d.distortions.fields import gaussian

_LOOKS_A_PX = 4  # pictures that are averaged for each pixel of the longest way
_LEVELS = 9  # of blur, between which is interpolated


def before_compositing(change: ChangeParams, rgba: U8) -> U8:
    """A frame (H, W, 4) with the object in another size; as it is for other changes."""
    return rgba if change.size is None else resized(rgba, change.size)


def after_compositing(change: ChangeParams, image: U8, depth: np.ndarray) -> U8:
    """An image (H, W, 3) on its background, moved during the exposure or out of focus.

    Args:
        change: which one.
        image: to change.
        depth: (H, W) camera z, not finite at the background.
    """
    if change.size is not None:
        return image
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    if change.pan_px is not None:
        found = panned(pixels, change.pan_px)
    elif change.zoom is not None:
        found = zoomed(pixels, change.zoom)
    else:
        found = focused(pixels, torch.from_numpy(depth), change.focus == "near", change.blur_px)
    return (found[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def by_alpha(rgba: U8) -> Tensor:
    """A frame (H, W, 4) as (1, 4, H, W) in [0, 1], its colours multiplied by alpha: so they may be averaged."""
    values = torch.from_numpy(rgba).permute(2, 0, 1)[None].float() / 255
    return torch.cat([values[:, :3] * values[:, 3:], values[:, 3:]], 1)


def straight(packed: Tensor) -> U8:
    """The frame (H, W, 4) of what `by_alpha` gives."""
    alpha = packed[:, 3:]
    colours = torch.where(alpha > 0.5 / 255, packed[:, :3] / alpha.clamp(min=1e-6), 0.0)
    found = (torch.cat([colours, alpha], 1).clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(found[0].permute(1, 2, 0).numpy())


def resized(rgba: U8, size: float) -> U8:
    """The object scaled about the image's middle, which is where the optical axis is; colours are averaged by alpha."""
    side = rgba.shape[0]
    small = max(2, side - 2 * round(side * (1 - size) / 2))  # an even rest keeps the middle
    packed = F.interpolate(by_alpha(rgba), (small, small), mode="bilinear", antialias=True, align_corners=False)
    found = np.zeros_like(rgba)
    edge = (side - small) // 2
    found[edge : edge + small, edge : edge + small] = straight(packed)
    return found


def panned(pixels: Tensor, length_px: float) -> Tensor:
    """The mean of (1, 3, H, W) over shifts along rows of -length/2 to length/2."""
    looks = max(2, round(_LOOKS_A_PX * length_px))
    return _mean(pixels, [(1.0, shift) for shift in np.linspace(-length_px / 2, length_px / 2, looks)])


def zoomed(pixels: Tensor, most: float) -> Tensor:
    """The mean of (1, 3, H, W) over enlargements of 1 to `most` about the middle."""
    looks = max(2, round(_LOOKS_A_PX * (most - 1) * pixels.shape[-1] / 2))
    return _mean(pixels, [(factor, 0.0) for factor in np.linspace(1, most, looks)])


def _mean(pixels: Tensor, looks: list[tuple[float, float]]) -> Tensor:
    """The mean over looks, each an enlargement and a shift along rows in pixels."""
    total = torch.zeros_like(pixels)
    for factor, shift in looks:
        map_back = torch.tensor([[[1 / factor, 0, -2 * shift / pixels.shape[-1]], [0, 1 / factor, 0]]])
        grid = F.affine_grid(map_back.float(), list(pixels.shape), align_corners=False)
        total += F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return total / len(looks)


def focused(pixels: Tensor, depth: Tensor, near: bool, blur_px: float) -> Tensor:
    """(1, 3, H, W) through a lens that is sharp at the object's nearest or farthest point.

    Each pixel is blurred by a Gaussian whose standard deviation is a quarter of the diameter of its circle of
    confusion, the variance of a uniform disk.
    """
    there = depth.isfinite() & (depth > 0)
    if not there.any():
        return pixels
    inverse = torch.where(there, 1 / depth.clamp(min=1e-6), 0.0)
    low, high = inverse[there].min(), inverse[there].max()
    inverse = torch.where(there, inverse, low)
    away = (high - inverse) if near else (inverse - low)
    diameter = blur_px * away / (high - low).clamp(min=1e-9)
    place = diameter / blur_px * (_LEVELS - 1)
    levels = [pixels, *(gaussian(pixels, blur_px * k / (_LEVELS - 1) / 4) for k in range(1, _LEVELS))]
    below = place.floor().long().clamp(max=_LEVELS - 2)
    stack = torch.stack([level[0] for level in levels])  # (L, 3, H, W)
    one, two = (stack.gather(0, index.expand(1, 3, *index.shape))[0] for index in (below, below + 1))
    share = place - below
    return ((1 - share) * one + share * two)[None]
