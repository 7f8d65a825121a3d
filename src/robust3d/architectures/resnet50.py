"""ResNet-50 (He et al. 2016) as torchvision builds it."""

from typing import TYPE_CHECKING, Literal

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from robust3d.models.architecture import Architecture

PYRAMID = True
WEIGHTS = Weights(
    "torchvision's ResNet50_Weights.IMAGENET1K_V1",
    "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "0676ba61",
)


class Params(Base):
    """What may be chosen."""

    stem: Literal["imagenet", "small"] = "imagenet"  # small: 3x3, stride 1, no max-pool (He et al., CIFAR-10)


def build(params: Params) -> "Architecture":
    """The architecture."""
    from torchvision.models import resnet50

    from robust3d.models.residual import residual

    return residual("resnet50", resnet50, (64, 256, 512, 1024, 2048), params.stem)
