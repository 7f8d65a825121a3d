"""GoogLeNet (Szegedy et al. 2015) with batch norms as torchvision builds it, without its auxiliary heads."""

from typing import TYPE_CHECKING, Literal

from robust3d.architectures import Weights
from robust3d.params import Params as Base

if TYPE_CHECKING:
    from torch import nn

    from robust3d.models.architecture import Architecture

WEIGHTS = Weights(
    "torchvision's GoogLeNet_Weights.IMAGENET1K_V1",
    "https://download.pytorch.org/models/googlenet-1378be20.pth",
    "1378be20",
)


class Params(Base):
    """What may be chosen."""

    stem: Literal["imagenet", "small"] = "imagenet"  # small: 3x3, stride 1, no first max-pool


def build(params: Params) -> "Architecture":
    """The architecture."""
    from torch import nn
    from torchvision.models import GoogLeNet

    from robust3d.models.architecture import Architecture

    def network(classes: int) -> "nn.Module":
        # `transform_input` stays off: torchvision's weights want images of another normalisation where it is on.
        net = GoogLeNet(num_classes=classes, aux_logits=False, init_weights=True)
        if params.stem == "small":
            net.conv1.conv = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            nn.init.trunc_normal_(net.conv1.conv.weight, std=0.01, a=-2, b=2)
            net.maxpool1 = nn.Identity()
        return net

    blocks = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    return Architecture(
        "googlenet",
        network,
        head="fc",
        feature_dim=1024,
        layers=("conv1", "conv2", "conv3", *(f"inception{block}" for block in blocks), "avgpool"),
        first=("conv1.conv.weight", "conv1.bn.running_mean"),
        smallest_px=15 if params.stem == "imagenet" else 4,
        ignored=("aux1.", "aux2."),
    )
