"""Random numbers that depend on (seed, attack, target, image) and a counter only, never on the batch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from robust3d.seeds import seed_of

_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of splitmix64


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _shift_right(bits: Tensor, places: int) -> Tensor:
    """Logical shift of int64 (torch's own shift copies the sign)."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def keys(seed: int, attack: str, target: int, image_ids: Sequence[int], device: torch.device) -> Tensor:
    """One int64 key per image, (N,)."""
    return torch.tensor([seed_of(seed, attack, target, i) for i in image_ids], dtype=torch.int64, device=device)


def uniform(image_keys: Tensor, first: int, count: int) -> Tensor:
    """Numbers `first` … `first + count` of every key's stream, (N,count) fp32 uniform in [0,1).

    splitmix64 (Steele et al. 2014), counter-based: number i is a hash of key + i * golden ratio,
    so any number can be computed without those before it, with the same bits on any device.
    """
    counter = torch.arange(first + 1, first + count + 1, dtype=torch.int64, device=image_keys.device)
    bits = image_keys[:, None] + counter * _signed(_GOLDEN)
    bits = (bits ^ _shift_right(bits, 30)) * _signed(_MIX_1)
    bits = (bits ^ _shift_right(bits, 27)) * _signed(_MIX_2)
    bits = bits ^ _shift_right(bits, 31)
    return _shift_right(bits, 40).float() * 2.0**-24


def normal(image_keys: Tensor, first: int, count: int) -> Tensor:
    """(N,count) standard normal numbers (Box-Muller) from `first` … `first + 2 count` of the streams."""
    u = uniform(image_keys, first, 2 * count)
    return (-2 * (1 - u[:, :count]).log()).sqrt() * (2 * math.pi * u[:, count:]).cos()
