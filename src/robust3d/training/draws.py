"""Random numbers that training tasks draw at every step."""

import torch
from torch import Tensor


def integers(below: int, shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Whole numbers from 0 to `below` - 1 on `device`, drawn on the generator's device from its stream."""
    return torch.randint(below, shape, generator=generator, device=generator.device).to(device)
