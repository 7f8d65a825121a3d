"""AlexNet (Krizhevsky 2014, one tower) as torchvision builds it; it has dropout and no batch norms."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

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

    # For images of less than 63 px. small: 5x5, stride 1; strided: 5x5, stride 2, six times as fast.
    stem: Literal["imagenet", "small", "strided"] = "imagenet"
    hidden: int = Field(4096, ge=1)  # width of the two fully connected layers
    dropout: float = Field(0.5, ge=0, lt=1)  # before each of them
    # torch: its defaults, as torchvision; he: He et al. 2015, with which it learns in a hundred steps.
    initialisation: Literal["torch", "he"] = "torch"


def build(params: Params) -> "Architecture":
    """The architecture."""
    from torch import nn
    from torchvision.models import alexnet

    from robust3d.models.architecture import Architecture
    from robust3d.models.fully_connected import set_hidden

    def network(classes: int) -> "nn.Module":
        net = alexnet(num_classes=classes, dropout=params.dropout)
        if params.stem != "imagenet":
            net.features[0] = nn.Conv2d(3, 64, 5, stride=1 if params.stem == "small" else 2, padding=2)
        if params.hidden != 4096:
            set_hidden(net.classifier, params.hidden)
        if params.initialisation == "he":
            _start_as_he(net)
        return net

    return Architecture(
        "alexnet",
        network,
        head="classifier.6",
        feature_dim=params.hidden,
        layers=("features.1", "features.4", "features.7", "features.9", "features.11", "classifier.2", "classifier.5"),
        first=("features.0.weight", "features.0.bias"),
        smallest_px={"imagenet": 63, "small": 15, "strided": 29}[params.stem],
    )


def _start_as_he(net: "nn.Module") -> None:
    """Draw the weights with the variance that keeps that of a ReLU network's activations; the head starts small."""
    from torch import nn

    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    nn.init.normal_(layers[-1].weight, std=0.01)
