"""DINOv2's large transformer (Oquab et al. 2024) as timm builds it: a self-supervised backbone without classes."""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.models.architecture import Architecture

BATCH_NORMS = False
TOKENS = True
PACKAGES = ("timm",)
WEIGHTS = Weights(
    "DINOv2's dinov2_vitl14_pretrain.pth",
    "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    "d5383ea8f4877b24",
    licence="Apache 2.0",
    has_classes=False,
)


class Params(Base):
    """Its size; the defaults are those of the published network on images of 224 px."""

    image_px: int = Field(
        224, ge=14, multiple_of=14
    )  # side of an image, the only one that it takes; patches are of 14 px
    blocks: int = Field(24, ge=1)  # published: 24


def build(params: Params) -> "Architecture":
    """The architecture."""
    from robust3d.models.dinov2 import dinov2

    return dinov2("vit_large_patch14_dinov2", params.image_px, params.blocks, width=1024)
