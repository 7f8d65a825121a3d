"""Random numbers that training tasks draw at every step."""

from functools import lru_cache

import torch
from torch import Tensor

from robust3d.seeds import torch_generator


def integers(below: int, shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Whole numbers from 0 to `below` - 1 on `device`, drawn on the generator's device from its stream."""
    return torch.randint(below, shape, generator=generator, device=generator.device).to(device)


class Epochs:
    """The order in which a training sees its data: the epochs' shuffles end to end, cut into batches.

    Args:
        count: of the data.
        batch: how many a step sees.
        seed: of the shuffles.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.size, self.seed = count, batch, seed
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def batch(self, step: int) -> Tensor:
        """Indices (B,) of a step's data; they depend on the step alone."""
        places = range(step * self.size, (step + 1) * self.size)
        return torch.stack([self._order(place // self.count)[place % self.count] for place in places])

    def _shuffle(self, epoch: int) -> Tensor:
        return torch.randperm(self.count, generator=torch_generator(self.seed, "order", epoch))
