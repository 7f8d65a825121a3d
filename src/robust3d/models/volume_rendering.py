"""Volume rendering along rays: sampling, and compositing of samples into a pixel (NeRF; pixelNeRF section 3).

A ray is a world-space origin and a unit direction; depths here are distances along it. Every sampler takes
a generator, or None for the deterministic samples that evaluation uses.
"""

from typing import NamedTuple

import torch
from torch import Tensor

PDF_FLOOR = 1e-5  # added to each bin's weight so that empty rays also have a distribution (reference code)


class Composite(NamedTuple):
    """Rendering of N rays: `colour` (N, 3), `opacity` (N,) in [0, 1], `depth` (N,) sum w z, `weights` (N, K)."""

    colour: Tensor
    opacity: Tensor
    depth: Tensor
    weights: Tensor


class Samples(NamedTuple):
    """A field along N rays: `depths` (N, K) rising, `sigma` (N, K) densities >= 0, `colour` (N, K, 3)."""

    depths: Tensor
    sigma: Tensor
    colour: Tensor


def uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """U(0, 1) of `shape`, drawn on the generator's device, in the dtype and on the device of `like`."""
    return torch.rand(shape, generator=generator, device=generator.device).to(like)


def stratified(near: Tensor, far: Tensor, samples: int, generator: torch.Generator | None) -> Tensor:
    """(N, samples), one depth per equal bin of [near, far]: uniform in it; its middle without generator."""
    bins = torch.arange(samples, device=near.device, dtype=near.dtype).expand(len(near), samples)
    offset = torch.full_like(bins, 0.5) if generator is None else uniform(tuple(bins.shape), generator, bins)
    return near[:, None] + (far - near)[:, None] * (bins + offset) / samples


def importance(weights: Tensor, near: Tensor, far: Tensor, samples: int, generator: torch.Generator | None) -> Tensor:
    """Samples from the piecewise-constant density that coarse weights define over equal bins of [near, far].

    Args:
        weights: (N, K) non-negative weights of the K bins; no gradient flows through them.
        near: (N,).
        far: (N,).
        samples: how many per ray.
        generator: None for evenly spaced quantiles.

    Returns:
        Depths (N, samples), unsorted.
    """
    density = weights.detach() + PDF_FLOOR
    cdf = density.cumsum(1) / density.sum(1, keepdim=True)
    shape = (len(weights), samples)
    if generator is None:
        quantiles = stratified(torch.zeros_like(near), torch.ones_like(near), samples, None)
    else:
        quantiles = uniform(shape, generator, cdf)
    index = torch.searchsorted(cdf.contiguous(), quantiles.contiguous(), right=True)
    index = index.clamp_max(weights.shape[1] - 1)
    above = cdf.gather(1, index)
    below = torch.where(index > 0, cdf.gather(1, (index - 1).clamp_min(0)), torch.zeros_like(above))
    inside = ((quantiles - below) / (above - below)).clamp(0, 1)
    return near[:, None] + (far - near)[:, None] * (index + inside) / weights.shape[1]


def around_depth(
    depth: Tensor,
    near: Tensor,
    far: Tensor,
    samples: int,
    generator: torch.Generator | None,
    std: float = 0.01,
) -> Tensor:
    """Normal samples around a predicted depth, clamped to [near, far]; the gradient flows to the depth.

    Args:
        depth: (N,).
        near: (N,).
        far: (N,).
        samples: how many per ray.
        generator: None for evenly spaced quantiles of the normal.
        std: standard deviation in world units (reference code: 0.01).

    Returns:
        Depths (N, samples), unsorted.
    """
    if generator is None:
        quantiles = (torch.arange(samples, device=depth.device, dtype=depth.dtype) + 0.5) / samples
        noise = torch.special.ndtri(quantiles).expand(len(depth), samples)
    else:
        noise = torch.randn((len(depth), samples), generator=generator, device=generator.device).to(depth)
    return torch.clamp(depth[:, None] + std * noise, near[:, None], far[:, None])


def composite(sigma: Tensor, colour: Tensor, depths: Tensor, far: Tensor, background: Tensor) -> Composite:
    """The volume rendering integral by quadrature, over a constant background.

    A sample represents the segment up to the next one, the last one the rest up to `far`; the part before the
    first sample counts as empty (reference code). Transmittances are exponentials of summed
    optical depths: exactly 1 for empty rays, and the opacity is exactly 1 behind opaque ones.

    Args:
        sigma: (N, K) densities >= 0 per world unit.
        colour: (N, K, 3).
        depths: (N, K) rising along the ray.
        far: (N,).
        background: (3,).
    """
    lengths = torch.diff(depths, dim=1, append=far[:, None])
    optical = sigma * lengths
    passed = optical.cumsum(1)
    weights = torch.exp(optical - passed) * -torch.expm1(-optical)
    opacity = -torch.expm1(-passed[:, -1])
    seen = (weights.unsqueeze(2) * colour).sum(1)
    return Composite(
        colour=seen + (1 - opacity).unsqueeze(1) * background,
        opacity=opacity,
        depth=(weights * depths).sum(1),
        weights=weights,
    )


def further_depths(
    coarse: Composite,
    near: Tensor,
    far: Tensor,
    by_weight: int,
    by_depth: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Where the second pass looks closer: depths (N, by_weight + by_depth), unsorted.

    Args:
        coarse: of the first pass, whose samples lie in equal bins of [near, far].
        near: (N,).
        far: (N,).
        by_weight: samples by `importance`.
        by_depth: samples by `around_depth`.
        generator: None for deterministic samples.
    """
    first = importance(coarse.weights, near, far, by_weight, generator)
    if not by_depth:
        return first
    return torch.cat([first, around_depth(coarse.depth, near, far, by_depth, generator)], dim=1)


def merged(first: Samples, second: Samples) -> Samples:
    """Samples of the same rays as one, by rising depth; those of `second` may be unsorted.

    A field that both passes share needs no second evaluation of the first one's samples (EG3D, Chan et al. 2022).
    """
    depths, order = torch.cat([first.depths, second.depths], dim=1).sort(dim=1)
    sigma = torch.cat([first.sigma, second.sigma], dim=1).gather(1, order)
    colour = torch.cat([first.colour, second.colour], dim=1)
    return Samples(depths, sigma, colour.gather(1, order[..., None].expand_as(colour)))
