"""EfficientNet-Lite as timm builds it (Tan and Le 2019; ReLU6, no squeeze-and-excitation), and its published weights.

timm pads as TensorFlow does: more below and to the right where a stride leaves an odd rest. Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.tokens import LAST_MAPS, Tokens, pyramid_tokens

# After the stages that halve the map, at 1/2, 1/4, 1/8, 1/16, 1/32 of the image's side; of sizes 0, 1 and 2.
STAGES = (0, 1, 2, 4, 6)
CHANNELS = ((16, 24, 40, 112, 320), (16, 24, 40, 112, 320), (16, 24, 48, 120, 352))
STEM, FEATURES = 32, 1280

# Names in the files of the package efficientnet-lite-pytorch: of single modules, and within a block, whose first
# two are left out where it has no expansion.
_SINGLE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_IN_BLOCK = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
_FIRST = "_conv_stem.weight"


def efficientnet_lite(size: int, stem: Literal["imagenet", "small"]) -> Architecture:
    """One of the family.

    Args:
        size: 0, 1 or 2; the published weights are of images of 224, 240 and 260 px.
        stem: "imagenet", or "small": a first convolution of stride 1.
    """

    def network(classes: int) -> nn.Module:
        from timm import create_model  # slow to import, so only where such a network is built

        net: nn.Module = create_model(f"tf_efficientnet_lite{size}", pretrained=False, num_classes=classes)
        if stem == "small":
            small = nn.Conv2d(3, STEM, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")  # as timm
            net.set_submodule("conv_stem", small)
        return net

    return Architecture(
        f"efficientnet_lite{size}",
        network,
        head="classifier",
        feature_dim=FEATURES,
        layers=("bn1", *(f"blocks.{stage}" for stage in range(7)), "bn2", "global_pool"),
        first=("conv_stem.weight", "bn1.running_mean"),
        channels=CHANNELS[size],
        maps=pyramid,
        tokens=tokens,
        token_channels=(sum(CHANNELS[size][-LAST_MAPS:]), FEATURES),
        own_names=lambda state: own_names(state, network),
    )


def pyramid(trunk: nn.Module, images: Tensor, levels: int, use_first_pool: bool) -> list[Tensor]:
    """Maps after each stage that halves them, at 1/2 to 1/32 of the image's side (the small stem: at 1 to 1/16).

    Args:
        trunk: of an EfficientNet-Lite.
        images: (B, 3, H, W), normalised.
        levels: how many maps; the stages above are not run, so they get neither gradient nor batch statistics.
        use_first_pool: True; there is no max-pool that could be dropped.

    Returns:
        `levels` maps (B, C, h, w).

    Raises:
        UserError: the first max-pool is to be dropped.
    """
    if not use_first_pool:
        raise UserError(
            "use_first_pool: false drops a residual network's first max-pool, and an EfficientNet-Lite has none; say "
            "true, and `stem: small` for small images"
        )
    x = trunk.get_submodule("bn1")(trunk.get_submodule("conv_stem")(images))
    maps: list[Tensor] = []
    for stage in range(STAGES[levels - 1] + 1):
        x = trunk.get_submodule(f"blocks.{stage}")(x)
        if stage in STAGES:
            maps.append(x)
    return maps


def tokens(trunk: nn.Module, images: Tensor) -> Tokens:
    """Tokens of the last three maps, and the pooled feature, of normalised images (B, 3, H, W)."""
    maps = pyramid(trunk, images, len(STAGES), True)
    head = trunk.get_submodule("bn2")(trunk.get_submodule("conv_head")(maps[-1]))
    return pyramid_tokens(maps, trunk.get_submodule("global_pool")(head))


def own_names(state: Mapping[str, Tensor], network: Callable[[int], nn.Module]) -> dict[str, Tensor]:
    """The tensors of a published file under timm's names, prefix kept; a state with other names as it is.

    The modules of both follow each other in the same order, so block n is timm's n-th. Within it they are matched by
    name, not by the tensors' order in the file: some formats sort them, and a batch norm's have the same shape.
    """
    prefix = next((key.removesuffix(_FIRST) for key in state if key.endswith(_FIRST)), None)
    if prefix is None:
        return dict(state)
    names = _names(network)
    renamed = {}
    for key, value in state.items():
        module, _, tensor = key.removeprefix(prefix).rpartition(".")
        renamed[f"{prefix}{names[module]}.{tensor}" if module in names else key] = value
    return renamed


def _names(network: Callable[[int], nn.Module]) -> dict[str, str]:
    """The name in timm of every module by its published one."""
    with torch.device("meta"):
        stages = network(1).get_submodule("blocks")
    names = dict(_SINGLE)
    blocks = [
        (f"blocks.{at}.{place}", block)
        for at, stage in stages.named_children()
        for place, block in stage.named_children()
    ]
    for number, (name, block) in enumerate(blocks):
        own = [child for child, it in block.named_children() if isinstance(it, nn.Conv2d | nn.BatchNorm2d)]
        names |= {f"_blocks.{number}.{theirs}": f"{name}.{ours}" for theirs, ours in zip(_IN_BLOCK[-len(own) :], own)}
    return names
