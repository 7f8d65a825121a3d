"""The vision transformer (Dosovitskiy et al. 2021) as torchvision builds it, at any image and patch size."""

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from torch import Tensor, nn

    from robust3d.models.architecture import Architecture

BATCH_NORMS = False
TOKENS = True
WEIGHTS = Weights(
    "torchvision's ViT_B_16_Weights.IMAGENET1K_V1",
    "https://download.pytorch.org/models/vit_b_16-c867db91.pth",
    "c867db91",
)


class Params(Base):
    """Its size; the defaults are those of ViT-B/16."""

    image_px: int = Field(224, gt=0)  # side of an image, the only one that it takes
    patch_px: int = Field(16, gt=0)  # side of a patch
    layers: int = Field(12, gt=0)
    heads: int = Field(12, gt=0)  # of attention
    width: int = Field(768, gt=0)  # of a token
    mlp_width: int = Field(3072, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> "Params":
        if self.image_px % self.patch_px:
            raise ValueError(f"patch_px: patches of {self.patch_px} px do not tile {self.image_px} px")
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} heads cannot share a width of {self.width}")
        return self


def build(params: Params) -> "Architecture":
    """The architecture."""
    import torch
    from torchvision.models import VisionTransformer

    from robust3d.models.architecture import Architecture
    from robust3d.models.tokens import LAST_BLOCKS, Tokens, transformer_tokens

    def network(classes: int) -> "nn.Module":
        return VisionTransformer(
            params.image_px,
            params.patch_px,
            params.layers,
            params.heads,
            params.width,
            params.mlp_width,
            params.dropout,
            num_classes=classes,
        )

    side = params.image_px // params.patch_px

    def tokens(trunk: "nn.Module", images: "Tensor") -> Tokens:
        assert isinstance(trunk, VisionTransformer)
        patches = trunk._process_input(images)
        x = torch.cat([trunk.class_token.expand(len(images), -1, -1), patches], dim=1) + trunk.encoder.pos_embedding
        blocks = list(trunk.encoder.layers.children())
        return transformer_tokens(trunk.encoder.dropout(x), blocks, trunk.encoder.ln, (side, side))

    taken = min(params.layers, LAST_BLOCKS) * params.width
    return Architecture(
        "vit",
        network,
        head="heads.head",
        feature_dim=params.width,
        layers=(*(f"encoder.layers.encoder_layer_{number}" for number in range(params.layers)), "encoder"),
        first=("conv_proj.weight", "conv_proj.bias"),
        smallest_px=params.image_px,
        largest_px=params.image_px,
        tokens=tokens,
        token_channels=(taken, taken),
    )
