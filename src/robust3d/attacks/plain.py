"""Modules of timm as modules of torch that compute the same, so that a network of timm's can be traced and folded.

A batch norm of timm's applies the activation too, and a convolution that pads like TensorFlow looks at the size of its
input, which a trace cannot. They are known by name: timm itself is not needed. Whether the copy computes what the
network does is checked for every copy (`robust3d.attacks.agreement`).
"""

import copy
import math
from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional

Kind = TypeVar("Kind", bound=nn.Module)


class SamePadding(nn.Module):
    """Zeros around a map as TensorFlow's "same" convolution has them: the larger half below and to the right.

    Args:
        conv: the convolution that follows, without padding of its own.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.sides = tuple(zip(conv.kernel_size, conv.stride, conv.dilation, strict=True))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) with what is lacking on each side."""
        padding: list[int] = []
        for size, (kernel, stride, dilation) in zip(maps.shape[2:], self.sides, strict=True):
            lacking = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
            padding = [lacking // 2, lacking - lacking // 2, *padding]  # the last dimension comes first
        return functional.pad(maps, padding)


def in_torchs_modules(module: nn.Module) -> nn.Module:
    """A copy of a network that holds no module of timm's that is known here; parameters and buffers are shared."""
    kind = f"{type(module).__module__}.{type(module).__qualname__}"
    if kind == "timm.layers.norm_act.BatchNormAct2d":
        norm = _as(nn.BatchNorm2d, module)
        norm._modules = {}
        return nn.Sequential(norm, *map(in_torchs_modules, module.children()))
    if kind == "timm.layers.conv2d_same.Conv2dSame":
        conv = _as(nn.Conv2d, module)
        return nn.Sequential(SamePadding(conv), conv)
    twin = copy.copy(module)
    twin._modules = {name: child and in_torchs_modules(child) for name, child in module._modules.items()}
    return twin


def _as(kind: type[Kind], module: nn.Module) -> Kind:
    """A shallow copy of a module as one of the class that it was derived from."""
    twin = copy.copy(module)
    twin.__class__ = kind
    assert isinstance(twin, kind)
    return twin
