"""Shared by torchvision's residual networks: the stem for small images and the feature pyramid."""

from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models import ResNet

from robust3d.models.architecture import Architecture
from robust3d.models.tokens import LAST_MAPS, Tokens, pyramid_tokens

LAYERS = ("layer1", "layer2", "layer3", "layer4")


def residual(name: str, build: Callable[..., ResNet], channels: tuple[int, ...], stem: str) -> Architecture:
    """One of torchvision's residual networks.

    Args:
        name: of the architecture.
        build: torchvision's function.
        channels: after the stem and after layer1 … layer4.
        stem: "imagenet" as torchvision's, or "small": a 3x3 convolution of stride 1 and no max-pool.
    """

    def network(classes: int) -> ResNet:
        net = build(num_classes=classes)
        if stem == "small":
            net.conv1 = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
            nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
            net.maxpool = nn.Identity()
        return net

    return Architecture(
        name,
        network,
        head="fc",
        feature_dim=channels[-1],
        layers=("relu", *LAYERS, "avgpool"),
        first=("conv1.weight", "bn1.running_mean"),
        channels=channels,
        maps=pyramid,
        tokens=tokens,
        token_channels=(sum(channels[-LAST_MAPS:]), channels[-1]),
    )


def pyramid(trunk: nn.Module, images: Tensor, levels: int, use_first_pool: bool) -> list[Tensor]:
    """Maps after conv1 + bn1 + relu (before the max-pool) and after layer1 … layer4.

    Args:
        trunk: of a residual network.
        images: (B, 3, H, W), normalised.
        levels: how many maps; later layers are not run, so they get neither gradient nor batch statistics
            (pixelNeRF runs 4).
        use_first_pool: False drops the max-pool before layer1, as pixelNeRF does at 64 px.

    Returns:
        `levels` maps (B, C, h, w).
    """
    assert isinstance(trunk, ResNet)
    maps = [trunk.relu(trunk.bn1(trunk.conv1(images)))]
    x = trunk.maxpool(maps[0]) if use_first_pool else maps[0]
    for name in LAYERS[: levels - 1]:
        x = trunk.get_submodule(name)(x)
        maps.append(x)
    return maps


def tokens(trunk: nn.Module, images: Tensor) -> Tokens:
    """Tokens of layer2 to layer4, and the pooled feature, of normalised images (B, 3, H, W)."""
    maps = pyramid(trunk, images, 1 + len(LAYERS), True)
    return pyramid_tokens(maps, maps[-1].mean((2, 3)))
