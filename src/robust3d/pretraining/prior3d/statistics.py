"""Statistics of a start's batch norms, which 3D-Prior keeps while it trains: whether they are those of its views.

After a few steps of training, running statistics still lag behind the weights. Nothing shows in training mode. In
evaluation mode such layers do not normalise, and features grow from layer to layer, by 10^6 in a ResNet-18.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.architecture import batch_norms
from robust3d.models.encoder import Encoder
from robust3d.training.transfer import recalibrate

CHECKED = 64  # images on which statistics are compared
LARGEST = 100.0  # times the variance in the statistics; EfficientNet-Lite0 of ImageNet has 2 on small renders


def settle(encoder: Encoder, images: Tensor, how: Literal["frozen", "measured"], batch: int) -> None:
    """Measure an encoder's statistics if asked, and refuse those that do not fit; it is in eval mode afterwards.

    Args:
        encoder: its statistics may change.
        images: uint8 (N, 3, H, W), as the encoder sees them.
        how: "measured": anew on all images; "frozen": as they are.
        batch: images of a pass.

    Raises:
        UserError: there are no statistics yet, or those of another network.
    """
    layers = batch_norms(encoder)
    if not layers:
        return
    if all(bool((layer.running_var == 1).all()) for layer in layers if layer.running_var is not None):
        raise UserError(f"batch_norms: {how}, but the encoder has no statistics yet; name a start, or use batch")
    if how == "measured":
        recalibrate(encoder, images, batch)
    name, ratio = misfit(encoder, images[:: -(-len(images) // CHECKED)])
    if ratio > LARGEST:
        raise UserError(
            f"batch_norms: {how}, but the start's statistics are not those of these views: before {name} the variance "
            f"is {ratio:.3g} times what they say. Train the start for more steps, or use measured"
        )


@torch.no_grad()
def misfit(encoder: Encoder, images: Tensor) -> tuple[str, float]:
    """The batch norm whose input varies most beyond its statistics, and how many times its variance is theirs.

    Args:
        encoder: in eval mode afterwards.
        images: uint8 (N, 3, H, W).
    """
    found: dict[str, float] = {}

    def compare(name: str, layer: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        assert layer.running_var is not None
        found[name] = float(inputs[0].var((0, 2, 3)).mean() / (layer.running_var.mean() + layer.eps))

    layers = [(name, layer) for name, layer in encoder.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    hooks = [layer.register_forward_pre_hook(partial(compare, name)) for name, layer in layers]
    encoder.eval()(images / 255)
    for hook in hooks:
        hook.remove()
    return max(found.items(), key=lambda item: item[1])
