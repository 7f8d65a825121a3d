"""Seeds that depend on what they are for and on nothing else: not on order, worker or number of cores."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def seed_of(*parts: str | int) -> int:
    """A 63-bit seed from a path of names and numbers, e.g. ``seed_of(0, "texture", "grid", 3)``."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(*parts: str | int) -> np.random.Generator:
    """A numpy generator seeded by ``seed_of(*parts)``."""
    return np.random.default_rng(seed_of(*parts))


def torch_generator(*parts: str | int, device: "str | torch.device" = "cpu") -> "torch.Generator":
    """A torch generator on `device` seeded by ``seed_of(*parts)``."""
    import torch

    return torch.Generator(device=device).manual_seed(seed_of(*parts))
