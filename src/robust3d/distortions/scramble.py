"""Images cut into tiles that are put together in another order (shape-bias paper, section 3.2.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from robust3d.errors import UserError

FIXED_SEED = 212  # of the released code, which scrambles all images alike


def scramble(images: Tensor, parts: int, seeds: Sequence[int] | None) -> Tensor:
    """Cut into parts x parts tiles, in a random order; any order may come, also the one that was.

    Args:
        images: (N, C, H, W).
        parts: along each side; 1 changes nothing.
        seeds: one for each image; None: one order for all, drawn by seed 212 as in the paper's released code.

    Raises:
        UserError: the side cannot be divided by `parts`.
    """
    count, channels, height, width = images.shape
    if height % parts or width % parts:
        raise UserError(f"scrambled: images of {height}x{width} px cannot be cut into {parts}x{parts} equal tiles")
    order = torch.stack([_permutation(seed, parts**2) for seed in seeds or [FIXED_SEED] * count])
    high, wide = height // parts, width // parts
    tiles = images.reshape(count, channels, parts, high, parts, wide).permute(0, 2, 4, 1, 3, 5)
    tiles = tiles.reshape(count, parts**2, -1)
    moved = tiles.gather(1, order.to(images.device)[..., None].expand_as(tiles))
    moved = moved.reshape(count, parts, parts, channels, high, wide).permute(0, 3, 1, 4, 2, 5)
    return moved.reshape(images.shape)


def _permutation(seed: int, count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))
