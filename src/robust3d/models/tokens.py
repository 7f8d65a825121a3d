"""What a backbone says of an image, in one form for all kinds of networks: tokens of patches and a class token."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAST_BLOCKS = 4  # of a transformer, whose tokens are taken (DINOv2's evaluation; 3D-Prior section 3.4)
LAST_MAPS = 3  # of a pyramid: layer2 to layer4 of a residual network


class Tokens(NamedTuple):
    """Tokens of N images.

    Attributes:
        patches: (N, T, C), the patches row by row; of a transformer the last blocks' channels one after the other.
        class_token: (N, D), the same blocks' class tokens; of a convolutional network its pooled feature.
        grid: (rows, columns) of patches; their product is T.
    """

    patches: Tensor
    class_token: Tensor
    grid: tuple[int, int]


def transformer_tokens(x: Tensor, blocks: Sequence[nn.Module], norm: nn.Module, grid: tuple[int, int]) -> Tokens:
    """The normalised outputs of a transformer's last blocks, one after the other in the channels.

    Args:
        x: (N, 1 + T, W), the class token first, as the first block takes it.
        blocks: all of them, in their order.
        norm: the transformer's last one, which is applied to each output (DINOv2's `get_intermediate_layers`).
        grid: of the patches.
    """
    kept = []
    for number, block in enumerate(blocks):
        x = block(x)
        if number >= len(blocks) - LAST_BLOCKS:
            kept.append(norm(x))
    found = torch.cat(kept, dim=2)
    return Tokens(found[:, 1:], found[:, 0], grid)


def pyramid_tokens(maps: Sequence[Tensor], pooled: Tensor) -> Tokens:
    """The last three maps of a convolutional network at the size of their largest, one after the other in the channels.

    Args:
        maps: (N, C, h, w), the largest first; all, of which the last three are taken.
        pooled: (N, D), the network's feature.
    """
    last = maps[-LAST_MAPS:]
    rows, columns = last[0].shape[2:]
    alike = [F.interpolate(one, (rows, columns), mode="bilinear", align_corners=False) for one in last[1:]]
    return Tokens(torch.cat([last[0], *alike], dim=1).flatten(2).mT, pooled, (rows, columns))
