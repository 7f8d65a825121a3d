"""AlexNet (Krizhevsky 2014, one tower) as torchvision builds it; it has dropout and no batch norms."""

from typing import TYPE_CHECKING, Literal

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from torch import nn

    from robust3d.models.architecture import Architecture

BATCH_NORMS = False
WEIGHTS = Weights(
    "torchvision's AlexNet_Weights.IMAGENET1K_V1",
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "7be5be79",
)


class Params(Base):
    """What may be chosen."""

    stem: Literal["imagenet", "small"] = "imagenet"  # small: 5x5, stride 1, for images of less than 63 px


def build(params: Params) -> "Architecture":
    """The architecture."""
    from torch import nn
    from torchvision.models import alexnet

    from robust3d.models.architecture import Architecture

    def network(classes: int) -> "nn.Module":
        net = alexnet(num_classes=classes)
        if params.stem == "small":
            net.features[0] = nn.Conv2d(3, 64, 5, padding=2)
        return net

    return Architecture(
        "alexnet",
        network,
        head="classifier.6",
        feature_dim=4096,
        layers=("features.1", "features.4", "features.7", "features.9", "features.11", "classifier.2", "classifier.5"),
        first=("features.0.weight", "features.0.bias"),
        smallest_px=63 if params.stem == "imagenet" else 15,
    )
