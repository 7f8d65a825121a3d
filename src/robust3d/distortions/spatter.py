"""ImageNet-C's spatter: drops of water or mud on the lens."""

import numpy as np
import torch
from torch import Tensor

from robust3d.distortions.draws import Draws
from robust3d.distortions.fields import box_blur, filtered, gaussian, pad

WATER, MUD = (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 20 / 255)
_FAR_PX = 20  # distances from an outline are cut off here
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def spatter(images: Tensor, parameters: tuple[float, ...], draws: Draws) -> Tensor:
    """Smooth noise above a threshold is liquid.

    The published code finds the outline of drops of water by Canny's detector; here it is where liquid meets none.
    """
    mean, deviation, smooth, threshold, strength, is_mud = parameters
    liquid = gaussian(draws.normal(1, *images.shape[-2:]) * deviation + mean, smooth)
    if is_mud:
        cover = gaussian((liquid > threshold).float(), strength)
        cover = cover.masked_fill(cover < 0.8, 0)
        return images * (1 - cover) + _colour(MUD, images) * cover
    liquid = liquid.masked_fill(liquid < threshold, 0)
    light = (liquid * 255).clamp(0, 255).floor() * relief(liquid > 0)
    light = light / light.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return images + strength * light * _colour(WATER, images)


def _colour(colour: tuple[float, float, float], images: Tensor) -> Tensor:
    return torch.tensor(colour, device=images.device)[:, None, None]


def relief(drops: Tensor) -> Tensor:
    """Light on drops (N, 1, H, W) as if they were swollen, 0 … 255."""
    depth = _equalised(box_blur(_distance(_outline(drops))).floor())
    return box_blur(filtered(depth, _RELIEF).clamp(0, 255))


def _outline(drops: Tensor) -> Tensor:
    """Pixels of drops beside one that is dry."""
    wide = pad(drops.float(), 1, "edge")
    inside = torch.stack([wide[..., 1:-1, :-2], wide[..., 1:-1, 2:], wide[..., :-2, 1:-1], wide[..., 2:, 1:-1]])
    return drops & (inside.amin(0) == 0)


def _distance(outline: Tensor) -> Tensor:
    """Euclidean distance to the nearest pixel of the outline, 20 px at most."""
    squared = torch.where(outline, 0.0, float(_FAR_PX**2))
    for axis in (-1, -2):
        size, nearest = squared.shape[axis], squared.clone()
        for offset in range(1, min(_FAR_PX, size)):
            for here, there in ((0, offset), (offset, 0)):
                part = nearest.narrow(axis, here, size - offset)
                torch.minimum(part, squared.narrow(axis, there, size - offset) + offset**2, out=part)
        squared = nearest
    return squared.sqrt()


def _equalised(values: Tensor) -> Tensor:
    """Histogram equalisation of whole values 0 … 255, as OpenCV does it."""
    images = len(values)
    index = values.long().flatten(1)
    counts = torch.zeros(images, 256, dtype=torch.int64, device=values.device)
    counts.scatter_add_(1, index, torch.ones_like(index))
    below = counts.cumsum(1)
    least = below.gather(1, (counts > 0).int().argmax(1, keepdim=True))
    spread = (below[:, -1:] - least).clamp(min=1)
    table = ((below - least).clamp(min=0).double() / spread * 255).round().float()
    return table.gather(1, index).reshape(values.shape)
