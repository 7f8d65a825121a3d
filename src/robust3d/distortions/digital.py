"""ImageNet-C's digital corruptions, and saturation."""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from robust3d.distortions.draws import Draws


def contrast(images: Tensor, factor: float, draws: Draws) -> Tensor:
    """Nearer to each channel's mean."""
    means = images.double().mean((2, 3), keepdim=True).float()
    return (images - means) * factor + means


def saturate(images: Tensor, parameters: tuple[float, float], draws: Draws) -> Tensor:
    """The saturation of HSV is multiplied and raised; grey counts as red."""
    factor, added = parameters
    value, least = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    saturation = (value - least) / value.clamp(min=1e-12)
    wanted = (saturation * factor + added).clamp(0, 1)
    coloured = value - (value - images) * (wanted / saturation.clamp(min=1e-12))
    reddish = torch.cat([value, value * (1 - wanted), value * (1 - wanted)], 1)
    return torch.where(saturation > 0, coloured, reddish)


def pixelate(images: Tensor, share: float, draws: Draws) -> Tensor:
    """Scaled down and up again by boxes, as Pillow's `BOX` does it."""
    sizes = images.shape[-2:]
    for axis, size in zip((-1, -2), sizes[::-1], strict=True):
        images = _boxed(images, axis, max(1, int(size * share)))
    for axis, size in zip((-1, -2), sizes[::-1], strict=True):
        images = _boxed(images, axis, size)
    return images


def _boxed(images: Tensor, axis: int, wanted: int) -> Tensor:
    """One axis at another size, rounded to whole values of 255 as in Pillow."""
    scaled = torch.zeros_like(images.narrow(axis, 0, 1))
    shape = [1, 1, 1, 1]
    shape[axis] = wanted
    for index, weight in _box_taps(images.shape[axis], wanted):
        taken = images.index_select(axis, torch.from_numpy(index).to(images.device))
        scaled = scaled + taken * torch.from_numpy(weight).to(images.device).reshape(shape)
    return (scaled * 255 + 0.5).floor() / 255


@functools.lru_cache(maxsize=64)
def _box_taps(size: int, wanted: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """For the first, second … pixel that each new one is the mean of: its place and weight."""
    scale = size / wanted
    centres = (np.arange(wanted) + 0.5) * scale
    wide = max(scale, 1.0)
    first = np.maximum((centres - wide / 2 + 0.5).astype(int), 0)
    last = np.minimum((centres + wide / 2 + 0.5).astype(int), size)
    places = first[:, None] + np.arange((last - first).max())
    distance = (places - centres[:, None] + 0.5) / wide
    weights = ((distance > -0.5) & (distance <= 0.5) & (places < last[:, None])).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    return tuple((place.clip(0, size - 1), weight) for place, weight in zip(places.T.copy(), weights.T.copy()))


def jpeg_compression(images: Tensor, quality: int, draws: Draws) -> Tensor:
    """Through a JPEG file."""
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    return torch.stack(through_jpeg(list(pixels.cpu()), quality)).to(images.device).float() / 255


def through_jpeg(pixels: Sequence[Tensor], quality: int) -> list[Tensor]:
    """Images (3, H, W) uint8 as they come back from JPEG files of a quality, colours at half the resolution."""
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

    return [decode_jpeg(encode_jpeg(image.contiguous(), quality), ImageReadMode.RGB) for image in pixels]
