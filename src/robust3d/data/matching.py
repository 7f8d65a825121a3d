"""Pictures of any source brought to the same statistics: share of foreground, colour, brightness, power spectrum.

So what a network learns from one set rather than from another is not that its objects are larger, brighter or coarser.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robust3d.data.params import MatchParams

_ROUNDS = 8  # of the search for an enlargement; each comes nearer, as objects may leave the picture
_ENLARGE = (0.2, 5.0)
_LUMA = torch.tensor([0.299, 0.587, 0.114])


def matched(images: Tensor, params: MatchParams) -> Tensor:
    """Images (n, 3, S, S) uint8, each by itself brought to the statistics of `params`."""
    pixels = images.float() / 255
    if params.background == "white":
        pixels = 1 - pixels  # so that empty is 0
    there = pixels.amax(1, keepdim=True) > params.threshold / 255
    if params.grey:
        pixels = (pixels * _LUMA[:, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    if params.foreground is not None:
        factors = enlargements(there, params.foreground)
        there = enlarged(there.float(), factors) > 0.5
        pixels = enlarged(pixels, factors) * there  # without the half-empty pixels around the object
    if params.background == "white":
        pixels = 1 - pixels
    if params.brightness is not None:
        pixels = brightened(pixels, there, params.brightness, params.contrast)
    if params.slope is not None:
        pixels = with_spectrum(pixels, params.slope, params.rms)
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def enlargements(there: Tensor, share: float) -> Tensor:
    """By how much (n,) to enlarge pictures about their middle so that foregrounds (n, 1, S, S) fill a share."""
    factors, best, least = torch.ones(len(there)), torch.ones(len(there)), torch.full((len(there),), 2.0)
    for _ in range(_ROUNDS):
        now = (enlarged(there.float(), factors) > 0.5).float().mean((1, 2, 3))
        nearer = (now - share).abs() < least
        best, least = torch.where(nearer, factors, best), torch.where(nearer, (now - share).abs(), least)
        step = torch.where(now > 0, (share / now.clamp(min=1e-6)).sqrt(), 1.0)
        factors = (factors * step).clamp(*_ENLARGE)
    return best


def enlarged(pixels: Tensor, factors: Tensor) -> Tensor:
    """Pictures (n, C, S, S) enlarged about their middle; what comes from outside is 0."""
    map_back = torch.zeros(len(pixels), 2, 3)
    map_back[:, 0, 0] = map_back[:, 1, 1] = 1 / factors
    grid = F.affine_grid(map_back, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="zeros", align_corners=False)


def brightened(pixels: Tensor, there: Tensor, mean: float, deviation: float) -> Tensor:
    """Pictures whose foregrounds have a mean and a standard deviation, of all channels together."""
    weight = there.float().expand_as(pixels)
    count = weight.sum((1, 2, 3), keepdim=True).clamp(min=1)
    middle = (pixels * weight).sum((1, 2, 3), keepdim=True) / count
    spread = (((pixels - middle) ** 2 * weight).sum((1, 2, 3), keepdim=True) / count).sqrt()
    changed = mean + (pixels - middle) * torch.where(spread > 1e-3, deviation / spread.clamp(min=1e-3), 0.0)
    return torch.where(there, changed.clamp(1 / 255, 1), pixels)  # foreground stays foreground


def with_spectrum(pixels: Tensor, slope: float, rms: float) -> Tensor:
    """Pictures with the mean 1/2, a contrast, and a power that falls with spatial frequency as f^-slope.

    The mean power over each ring of frequencies is set; what differs within a ring, and all phases, stay.
    """
    side = pixels.shape[-1]
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) * side
    ring = torch.from_numpy(np.rint(frequency).astype(np.int64))
    spectrum = torch.fft.fft2(pixels)
    power = (spectrum.abs() ** 2).mean(1).flatten(1)
    sums = torch.zeros(len(pixels), int(ring.max()) + 1).index_add_(1, ring.flatten(), power)
    mean = sums / torch.bincount(ring.flatten())
    target = torch.arange(mean.shape[1]).float().clamp(min=1) ** -slope
    gain = (target / mean.clamp(min=1e-12)).sqrt()
    gain[:, 0] = 0
    gain[mean < 1e-9] = 0
    changed = torch.fft.ifft2(spectrum * gain[:, ring][:, None]).real
    now = (changed**2).mean((1, 2, 3), keepdim=True).sqrt()
    return 0.5 + changed * torch.where(now > 0, rms / now.clamp(min=1e-12), 0.0)
