"""Random numbers that depend on an image's seed only, never on the batch, its order or the device."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Draws:
    """One stream of random numbers for each of N images.

    They are drawn on the CPU and then moved, so that a GPU spoils an image in the same way.

    Args:
        seeds: of the N images.
        device: where the numbers are wanted.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.device = device
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(N, *shape) fp32, uniform in [low, high)."""
        found = torch.empty(len(self._generators), *shape)
        for part, generator in zip(found, self._generators, strict=True):
            part.uniform_(low, high, generator=generator)
        return found.to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """(N, *shape) fp32, standard normal."""
        found = torch.empty(len(self._generators), *shape)
        for part, generator in zip(found, self._generators, strict=True):
            part.normal_(generator=generator)
        return found.to(self.device)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """(N, *shape) int64, each of low … high - 1."""
        found = torch.empty(len(self._generators), *shape, dtype=torch.int64)
        for part, generator in zip(found, self._generators, strict=True):
            part.random_(low, high, generator=generator)
        return found.to(self.device)

    def poisson(self, rates: Tensor) -> Tensor:
        """(N, ...) fp32: a Poisson number for each rate of the N images."""
        host = rates.cpu()
        drawn = [torch.poisson(part, generator=own) for part, own in zip(host, self._generators, strict=True)]
        return torch.stack(drawn).to(self.device)
