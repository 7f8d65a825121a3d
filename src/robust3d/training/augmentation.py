"""Random crops, windows, flips and colours of batches of images, from a generator."""

import torch
import torch.nn.functional as F
from torch import Tensor

from robust3d.models.volume_rendering import uniform
from robust3d.training.draws import integers

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue


def crop_grid(images: Tensor, smallest: float, flip: bool, generator: torch.Generator) -> Tensor:
    """Sampling grids (N, H, W, 2) for `grid_sample` without aligned corners: a random square crop of each image.

    Args:
        images: (N, C, H, W), for size, number and device.
        smallest: side of a crop, of the image's; sides are uniform between it and 1.
        flip: mirror half of the images.
        generator: of the draws.
    """
    draw = uniform((4, len(images)), generator, images)
    side = smallest + (1 - smallest) * draw[0]
    sign = torch.where(draw[3] < 0.5, -1.0, 1.0) if flip else torch.ones_like(side)
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 1, 1] = side * sign, side
    theta[:, :, 2] = ((1 - side) * (2 * draw[1:3] - 1)).T
    return F.affine_grid(theta, [len(images), 1, *images.shape[2:]], align_corners=False)


def cropped(images: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Images (N, C, H, W) sampled at a grid of `crop_grid`."""
    return F.grid_sample(images, grid, mode=mode, padding_mode="border", align_corners=False)


def windows(images: Tensor, side: int, generator: torch.Generator | None = None) -> Tensor:
    """Square windows (N, C, side, side) of images (N, C, H, W): at random places, or without generator the middle."""
    if generator is None:
        first = [(extent - side + 1) // 2 for extent in images.shape[2:]]
        return images[:, :, first[0] : first[0] + side, first[1] : first[1] + side]
    number = torch.arange(len(images), device=images.device)[:, None, None]
    inside = torch.arange(side, device=images.device)
    rows, columns = (
        integers(extent - side + 1, (len(images), 1), generator, images.device) + inside for extent in images.shape[2:]
    )
    return images[number, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def jittered(images: Tensor, strength: float, grey: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation by factors in 1 +- strength for four of five images, and grey ones.

    Args:
        images: (N, 3, H, W) in [0, 1].
        strength: largest change of a factor; 0: no change.
        grey: share of images that lose their colour.
        generator: of the draws.
    """
    draw = uniform((5, len(images), 1, 1, 1), generator, images)
    factor = torch.where(draw[3] < 0.8, 1 + strength * (2 * draw[:3] - 1), 1.0)
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    found = (images * factor[0]).clamp(0, 1)
    mean = (found * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    found = (mean + factor[1] * (found - mean)).clamp(0, 1)
    luma = (found * weights).sum(1, keepdim=True)
    found = (luma + factor[2] * (found - luma)).clamp(0, 1)
    luma = (found * weights).sum(1, keepdim=True)
    return torch.where(draw[4] < grey, luma.expand_as(found), found)
