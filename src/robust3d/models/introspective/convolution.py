"""The convolution of the network of Table 1, with a gradient that is as fast as itself where it has few channels."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv3d_weight

# Below so many output channels a CPU's kernel for the gradient of the input falls back to one that takes up to ten
# times as long as a convolution (oneDNN with AVX-512, blocks of 16 channels).
FEW = 16


class Convolution(nn.Conv3d):
    """A convolution of size 3 that keeps the size of its maps."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, D, H, W) to (N, outputs, D, H, W)."""
        return convolve(maps, self.weight, self.bias)


def convolve(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution of maps (N, C, D, H, W) with a weight (O, C, 3, 3, 3) and padding 1."""
    if maps.device.type == "cpu" and len(weight) < FEW:
        found: Tensor = _FewChannels.apply(maps, weight, bias)
        return found
    return functional.conv3d(maps, weight, bias, padding=1)


class _FewChannels(torch.autograd.Function):
    """The same; the gradient of the input is the convolution with the reversed weight, which it equals."""

    @staticmethod
    def forward(context: Any, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(maps, weight)
        return functional.conv3d(maps, weight, bias, padding=1)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        maps, weight = context.saved_tensors
        of_maps, of_weight, of_bias = context.needs_input_grad
        return (
            convolve(gradient, weight.flip(2, 3, 4).transpose(0, 1)) if of_maps else None,
            conv3d_weight(maps, weight.shape, gradient, padding=1) if of_weight else None,
            gradient.sum((0, 2, 3, 4)) if of_bias else None,
        )
