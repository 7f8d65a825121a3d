"""ImageNet-C's weather."""

import torch
from torch import Tensor

from robust3d.distortions import frost as textures
from robust3d.distortions.draws import Draws
from robust3d.distortions.fields import grey, motion, plasma, power_of_two, zoomed


def snow(images: Tensor, parameters: tuple[float, ...], draws: Draws) -> Tensor:
    """Flakes that fall, twice, over an image that has turned paler."""
    mean, deviation, zoom, threshold, radius, sigma, kept = parameters
    flakes = zoomed(draws.normal(1, *images.shape[-2:]) * deviation + mean, zoom)
    flakes = (flakes.masked_fill(flakes < threshold, 0).clamp(0, 1) * 255).floor() / 255
    flakes = motion(flakes, int(radius), sigma, draws.uniform(low=-135.0, high=-45.0))
    pale = torch.maximum(images, grey(images) * 1.5 + 0.5)
    return kept * images + (1 - kept) * pale + flakes + flakes.flip((-2, -1))


def frost(images: Tensor, parameters: tuple[float, float, float], draws: Draws) -> Tensor:
    """A random part of one of five pictures of ice is added. The pictures are made here, see `frost.picture`."""
    kept, added, scale = parameters
    which = draws.integers(0, textures.PICTURES).tolist()
    corners = draws.uniform(2).cpu().tolist()
    size = images.shape[-2:]
    ice = [textures.crop(picture, scale, size, corner) for picture, corner in zip(which, corners, strict=True)]
    return kept * images + added * torch.stack(ice).to(images.device)


def fog(images: Tensor, parameters: tuple[float, float], draws: Draws) -> Tensor:
    """Clouds are added, and the whole is darkened to the brightest value that the image had."""
    thickness, decay = parameters
    height, width = images.shape[-2:]
    side = power_of_two(max(height, width))
    clouds = plasma(draws.uniform(side, side, low=-1.0), decay)[:, None, :height, :width]
    brightest = images.amax((1, 2, 3), keepdim=True)
    return (images + thickness * clouds) * brightest / (brightest + thickness)


def brightness(images: Tensor, added: float, draws: Draws) -> Tensor:
    """The value of HSV grows; hue and saturation stay."""
    value = images.amax(1, keepdim=True)
    brighter = (value + added).clamp(0, 1)
    return torch.where(value > 0, images * (brighter / value.clamp(min=1e-12)), brighter)
