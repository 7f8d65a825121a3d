"""DINOv2's vision transformers (Oquab et al. 2024) as timm builds them, and the weights that their authors publish.

Nothing is downloaded. Their authors' and timm's files name the tensors alike, but for a mask token that only training
uses and for blocks in chunks. Both hold position embeddings of images of 518 px; for others these are interpolated when
they are read, as the authors' code does it (timm's own way gives slightly other features).
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust3d.models.architecture import Architecture
from robust3d.models.tokens import LAST_BLOCKS, Tokens, transformer_tokens

PATCH_PX = 14
OFFSET = 0.1  # patches that the authors' code adds to the wanted size before it interpolates
UNUSED = ("mask_token", "dino_head", "ibot_head")  # of training; not part of the network
_CHUNKED = re.compile(r"blocks\.\d+\.(\d+)\.")


def dinov2(name: str, image_px: int, blocks: int, width: int) -> Architecture:
    """One of the family.

    Args:
        name: timm's, which is the architecture's.
        image_px: side of an image, a multiple of 14.
        blocks: how many; the published networks have 12 (S and B) or 24 (L).
        width: of a token.
    """
    side = image_px // PATCH_PX

    def network(classes: int) -> nn.Module:
        from timm import create_model  # slow to import, so only where such a network is built

        made: nn.Module = create_model(name, pretrained=False, num_classes=classes, img_size=image_px, depth=blocks)
        return made

    def tokens(trunk: nn.Module, images: Tensor) -> Tokens:
        net: Any = trunk
        return transformer_tokens(net._pos_embed(net.patch_embed(images)), list(net.blocks), net.norm, (side, side))

    taken = min(blocks, LAST_BLOCKS) * width
    return Architecture(
        name,
        network,
        head="head",
        feature_dim=width,
        layers=(*(f"blocks.{number}" for number in range(blocks)), "norm"),
        first=("patch_embed.proj.weight", "patch_embed.proj.bias"),
        smallest_px=image_px,
        largest_px=image_px,
        ignored=UNUSED,
        own_names=lambda state: own_names(state, side),
        tokens=tokens,
        token_channels=(taken, taken),
    )


def own_names(state: Mapping[str, Tensor], side: int) -> dict[str, Tensor]:
    """The tensors of a published file under timm's names, prefix kept, with positions of side x side patches."""
    renamed = {_CHUNKED.sub(r"blocks.\1.", key): value for key, value in state.items()}
    return {
        key: positions(value, side) if key.split(".")[-1] == "pos_embed" else value for key, value in renamed.items()
    }


def positions(embedding: Tensor, side: int) -> Tensor:
    """Position embeddings (1, 1 + M x M, C), the class token's first, for side x side patches; as the authors' code.

    Others, such as those of another number of special tokens, stay as they are: loading them says what does not fit.
    """
    count = embedding.shape[1] - 1 if embedding.ndim == 3 else 0
    before = math.isqrt(max(count, 0))
    if count <= 0 or before * before != count or before == side:
        return embedding
    grid = embedding[:, 1:].float().unflatten(1, (before, before)).permute(0, 3, 1, 2)
    scale = (side + OFFSET) / before
    resized = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([embedding[:, :1], resized.permute(0, 2, 3, 1).flatten(1, 2).to(embedding)], dim=1)
