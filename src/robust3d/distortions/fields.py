"""What several corruptions are made of: borders, blurs, zooms, plasma. Each image is computed as if it were alone."""

import functools
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Border = Literal["edge", "reflect", "symmetric"]
"""The value beyond the border: that at the border, or mirrored about the outermost pixel or about its outer edge."""


def beyond(size: int, before: int, after: int, border: Border) -> np.ndarray:
    """Which of `size` pixels stands at -before … size + after - 1; images may be smaller than the border is wide."""
    place = np.arange(-before, size + after)
    if border == "edge" or size == 1:
        return place.clip(0, size - 1)
    if border == "reflect":
        place = np.abs(place % (2 * size - 2))
        return np.where(place < size, place, 2 * size - 2 - place)
    place = place % (2 * size)
    return np.where(place < size, place, 2 * size - 1 - place)


def pad(images: Tensor, width: int, border: Border) -> Tensor:
    """Images (..., H, W) with a border of `width` pixels on every side."""
    for axis in (-2, -1):
        index = torch.from_numpy(beyond(images.shape[axis], width, width, border)).to(images.device)
        images = images.index_select(axis, index)
    return images


@functools.lru_cache(maxsize=64)
def _gaussian_matrix(size: int, sigma: float, truncate: float, border: Border) -> Tensor:
    """(size, size): a row of weights for each pixel, the weights beyond the border added to the pixels there."""
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    sources = beyond(size, radius, radius, border)
    matrix = np.zeros((size, size))
    for offset, weight in enumerate(weights):
        np.add.at(matrix, (np.arange(size), sources[offset : offset + size]), weight)
    return torch.from_numpy(matrix.astype(np.float32))


def gaussian(images: Tensor, sigma: float, truncate: float = 4.0, border: Border = "edge") -> Tensor:
    """Gaussian blur of (N, C, H, W), cut off at `truncate` sigmas.

    Two products with matrices, an image at a time: how a product of many is summed up may depend on their number.
    """
    if int(truncate * sigma + 0.5) == 0:
        return images
    down, across = (_gaussian_matrix(size, sigma, truncate, border).to(images.device) for size in images.shape[-2:])
    return torch.stack([down @ image @ across.T for image in images])


def filtered(images: Tensor, kernel: np.ndarray, border: Border = "reflect") -> Tensor:
    """Correlation of (N, C, H, W) with an odd kernel (K, K): by shifts if it is small, else by Fourier transforms."""
    radius, size = len(kernel) // 2, images.shape[-2:]
    padded = pad(images, radius, border)
    if len(kernel) <= 5:
        places = [(i, j) for i, j in np.ndindex(kernel.shape) if kernel[i, j]]
        windows = (float(kernel[i, j]) * padded[..., i : i + size[0], j : j + size[1]] for i, j in places)
        return functools.reduce(torch.add, windows)
    shape = (padded.shape[-2], padded.shape[-1])
    turned = torch.from_numpy(np.ascontiguousarray(kernel, np.float32)).to(images.device)
    spectrum = torch.fft.rfft2(turned, s=shape).conj()
    found = [torch.fft.irfft2(torch.fft.rfft2(image) * spectrum, s=shape) for image in padded]
    return torch.stack(found)[..., : size[0], : size[1]]


def box_blur(images: Tensor) -> Tensor:
    """Mean of 3 x 3 pixels."""
    return filtered(images, np.full((3, 3), 1 / 9))


def zoomed(images: Tensor, factor: float) -> Tensor:
    """The middle of (N, C, H, W), enlarged linearly to the same size; first and last pixels stay first and last."""
    height, width = images.shape[-2:]
    kept = [int(np.ceil(side / factor)) for side in (height, width)]
    top, left = ((side - part) // 2 for side, part in zip((height, width), kept))
    wanted = [round(part * factor) for part in kept]
    part = images[..., top : top + kept[0], left : left + kept[1]]
    large = F.interpolate(part, size=wanted, mode="bilinear", align_corners=True)
    top, left = ((got - side) // 2 for got, side in zip(wanted, (height, width)))
    return large[..., top : top + height, left : left + width]


def motion(images: Tensor, radius: int, sigma: float, angles_deg: Tensor) -> Tensor:
    """Blur along a line that starts at each pixel, its weights half a Gaussian, as ImageMagick does it.

    Args:
        images: (N, C, H, W).
        radius: the line has 2 radius + 1 pixels.
        sigma: of the weights.
        angles_deg: (N,), clockwise from the direction to the right.
    """
    length, (height, width) = 2 * radius + 1, images.shape[-2:]
    weights = np.exp(-0.5 * (np.arange(length) / sigma) ** 2)
    weights = (weights / weights.sum()).tolist()
    padded, blurred = pad(images, length, "edge"), torch.zeros_like(images)
    for image, out, angle in zip(padded, blurred, np.deg2rad(angles_deg.double().cpu().numpy())):
        right = np.ceil(np.arange(length) * np.cos(angle) - 0.5).astype(int) + length
        below = np.ceil(np.arange(length) * np.sin(angle) - 0.5).astype(int) + length
        for weight, top, left in zip(weights, below.tolist(), right.tolist()):
            out.add_(image[:, top : top + height, left : left + width], alpha=weight)
    return blurred


def plasma(noise: Tensor, decay: float) -> Tensor:
    """Clouds by the diamond-square algorithm on a square that wraps around, from 0 to 1 in each image.

    Args:
        noise: (N, S, S) uniform in [-1, 1), S a power of two; a pixel's number roughens it.
        decay: by which roughness falls from one scale to the next finer one; the published code squares it.
    """
    size = noise.shape[-1]
    found = torch.zeros_like(noise)
    step, rough = size, 100.0
    while step >= 2:
        half, strength = step // 2, rough**2
        corners = found[:, ::step, ::step]
        rows = corners + corners.roll(-1, 1)
        middle = (rows + rows.roll(-1, 2)) / 4 + strength * noise[:, half::step, half::step]
        found[:, half::step, half::step] = middle
        above = (middle + middle.roll(1, 1)) + (corners + corners.roll(-1, 2))
        found[:, ::step, half::step] = above / 4 + strength * noise[:, ::step, half::step]
        beside = (middle + middle.roll(1, 2)) + (corners + corners.roll(-1, 1))
        found[:, half::step, ::step] = beside / 4 + strength * noise[:, half::step, ::step]
        step, rough = half, rough / decay
    found = found - found.amin((1, 2), keepdim=True)
    return found / found.amax((1, 2), keepdim=True)


def power_of_two(least: int) -> int:
    """The smallest power of two that is not below `least`."""
    return 1 << (least - 1).bit_length()


def grey(images: Tensor) -> Tensor:
    """Luma (N, 1, H, W) of RGB images, ITU-R 601."""
    return 0.299 * images[:, :1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:3]
