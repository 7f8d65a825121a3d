"""VGG-16 (Simonyan and Zisserman 2015) as torchvision builds it; it has dropout and no batch norms."""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from torch import nn

    from robust3d.models.architecture import Architecture

BATCH_NORMS = False
WEIGHTS = Weights(
    "torchvision's VGG16_Weights.IMAGENET1K_V1",
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af",
)


class Params(Base):
    """What may be chosen."""

    hidden: int = Field(4096, ge=1)  # width of the two fully connected layers
    dropout: float = Field(0.5, ge=0, lt=1)  # after each of them


def build(params: Params) -> "Architecture":
    """The architecture."""
    from torchvision.models import vgg16

    from robust3d.models.architecture import Architecture
    from robust3d.models.fully_connected import set_hidden

    def network(classes: int) -> "nn.Module":
        net = vgg16(num_classes=classes, dropout=params.dropout)
        if params.hidden != 4096:
            set_hidden(net.classifier, params.hidden)
        return net

    return Architecture(
        "vgg16",
        network,
        head="classifier.6",
        feature_dim=params.hidden,
        layers=(*(f"features.{last}" for last in (3, 8, 15, 22, 29)), "classifier.1", "classifier.4"),
        first=("features.0.weight", "features.0.bias"),
        smallest_px=32,
    )
