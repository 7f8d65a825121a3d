"""The 19 corruptions of ImageNet-C at five severities (Hendrycks and Dietterich 2019), on batches."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from robust3d.distortions import blur, digital, noise, spatter, weather
from robust3d.distortions.draws import Draws
from robust3d.distortions.parameters import PARAMETERS, SEVERITIES, Corruption, ParameterSet, set_for
from robust3d.seeds import seed_of

Function = Callable[[Tensor, Any, Draws], Tensor]
FUNCTIONS: dict[Corruption, Function] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": blur.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": spatter.spatter,
    "saturate": digital.saturate,
}
_CHUNK = 1 << 18  # values of images that are worked on at once on a CPU, so that they stay in its cache


def corrupt(
    images: Tensor,
    name: Corruption,
    severity: int,
    seeds: Sequence[int],
    parameters: ParameterSet | None = None,
) -> Tensor:
    """Images with one of the corruptions.

    What is drawn for an image is the same at every severity, where the corruption draws equally many numbers.

    Args:
        images: (N, 3, H, W) uint8, or floating point in [0, 1].
        name: of the corruption.
        severity: 1 to 5.
        seeds: one for each image; the outcome depends on it and on the image only.
        parameters: whose; None: those of ImageNet-C, Tiny-ImageNet-C or CIFAR-10-C by the shorter side of the images.

    Returns:
        Images of the same shape and type; uint8 is rounded, where the published code cuts decimals off.

    Raises:
        ValueError: another shape, severity or number of seeds.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be N x 3 x H x W, got {tuple(images.shape)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1 to 5, got {severity}")
    if len(seeds) != len(images):
        raise ValueError(f"{len(images)} images, but {len(seeds)} seeds")
    values_of_set = PARAMETERS[parameters or set_for(min(images.shape[-2:]))][name][severity - 1]
    function, own_seeds = FUNCTIONS[name], [seed_of(seed, name) for seed in seeds]
    size = max(1, _CHUNK // images[0].numel()) if len(images) and images.device.type == "cpu" else max(1, len(images))
    done = []
    for start in range(0, len(images), size):
        part = images[start : start + size].contiguous()
        values = part.float() / 255 if part.dtype == torch.uint8 else part.float()
        spoilt = function(values, values_of_set, Draws(own_seeds[start : start + size], images.device)).clamp(0, 1)
        done.append(to_type(spoilt, images.dtype))
    return torch.cat(done) if done else images.clone()


def to_type(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in [0, 1] as images of a type, rounded to whole values of 255 for uint8."""
    return (values * 255).round().to(torch.uint8) if dtype == torch.uint8 else values.to(dtype)
