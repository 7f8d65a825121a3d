"""Total variation of kernels and maps."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


def variation(maps: Tensor) -> Tensor:
    """Anisotropic total variation (...) of maps (..., H, W): the sum of |differences| down and across."""
    return maps.diff(dim=-2).abs().sum((-2, -1)) + maps.diff(dim=-1).abs().sum((-2, -1))


def kernel_variation(network: nn.Module) -> dict[str, Any]:
    """Total variation of the kernels of every convolution with more than a pixel.

    Returns:
        `layers`: for each convolution by its name `kernels` (how many), `size_px` (height, width), `variation` (mean
        over kernels of the sum over input channels) and `relative` (the layer's sum of variations over its sum of
        |weights|). `mean_of_layers`, `mean_of_kernels`, and `relative`, its mean over layers; None without any such
        convolution.
    """
    layers: dict[str, dict[str, Any]] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight[0, 0].numel() > 1:
            weight = module.weight.detach().double()
            each = variation(weight).sum(1)
            layers[name] = {
                "kernels": len(weight),
                "size_px": list(weight.shape[2:]),
                "variation": float(each.mean()),
                "relative": float(each.sum() / weight.abs().sum()) if weight.any() else 0.0,
            }
    count = sum(layer["kernels"] for layer in layers.values())
    total = sum(layer["kernels"] * layer["variation"] for layer in layers.values())
    return {
        "layers": layers,
        "mean_of_layers": _mean([layer["variation"] for layer in layers.values()]),
        "mean_of_kernels": total / count if count else None,
        "relative": _mean([layer["relative"] for layer in layers.values()]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
