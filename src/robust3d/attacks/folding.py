"""A copy of a model that computes the same function with fewer operations.

In eval mode a batch norm is an affine map, so it folds into the convolution before it. Only rounding differs.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from robust3d.attacks.plain import SamePadding, in_torchs_modules

FEW_CHANNELS = 4  # of images; kernels are fast enough for more channels
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class _Tracer(fx.Tracer):
    """Refuses operations of which a trace would keep the forward pass but lose the backward pass."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """What stays one operation: torch's modules, and padding that looks at sizes, which are fixed here."""
        return isinstance(module, SamePadding) or super().is_leaf_module(module, name)

    def create_node(self, *args: Any, **keywords: Any) -> fx.Node:
        """A node of the graph.

        Raises:
            ValueError: it runs without gradients, as it does inside `no_grad` and inside a `torch.autograd.Function`.
        """
        if not torch.is_grad_enabled():
            raise ValueError("part of the model runs under no_grad or has a backward pass of its own")
        return super().create_node(*args, **keywords)


def _traced(model: nn.Module) -> fx.GraphModule:
    """The graph of the model's operations.

    Raises:
        ValueError: their gradients would not be the model's.
    """
    hooks = any(getattr(module, name) for module in model.modules() for name in HOOKS)
    replaced = any("forward" in vars(module) for module in model.modules())
    if hooks or replaced or type(model).__call__ is not nn.Module.__call__:
        raise ValueError("the model has hooks, or a call or forward of its own that a trace does not see")
    model = in_torchs_modules(in_eval_mode(model))
    with torch.enable_grad():
        return fx.GraphModule(model, _Tracer().trace(model))


def in_eval_mode(module: nn.Module) -> nn.Module:
    """A copy of the module in eval mode that shares parameters and buffers; the module's mode does not change.

    So a copy of a network in training has no dropout, and its batch norms use the running statistics.
    """
    twin = copy.copy(module)
    twin.training = False
    twin._modules = {name: child and in_eval_mode(child) for name, child in module._modules.items()}
    return twin


class Folded(nn.Module):
    """A copy of a traceable model, as in eval mode, whose convolutions contain the batch norms after them.

    Kernels lose the rows and columns that only read padding at this size: on the 1 x 1 maps at the end of a ResNet-18
    at 32 px, all but the middle tap. Everything else is shared with the model.

    Args:
        model: images (N,C,H,W) to logits.
        images: (N,C,H,W) of the size that all images will have.
        blocked: for passes with gradients with respect to the images: on a CPU, a first convolution of stride 2 reads
            blocks of 2 x 2 pixels as channels, which halves the backward time and adds a little forward time.

    Raises:
        Exception: the model cannot be traced, or a trace would lose gradients that it defines itself.
    """

    def __init__(self, model: nn.Module, images: Tensor, blocked: bool = False) -> None:
        super().__init__()
        self.size_px = images.shape[2:]
        self.blocks: Blocks | None = None
        self.traced = _traced(model)
        self.pairs: list[_Pair] = []
        modules = dict(self.traced.named_modules())
        called = [node.target for node in self.traced.graph.nodes if node.op == "call_module"]
        for node in list(self.traced.graph.nodes):
            norm = modules.get(str(node.target))
            before = node.args[0] if node.args else None
            if not (type(norm) is nn.BatchNorm2d and norm.track_running_stats and isinstance(before, fx.Node)):
                continue
            conv = modules.get(str(before.target))
            if type(conv) is not nn.Conv2d or len(before.users) > 1 or called.count(before.target) > 1:
                continue
            folded = copy.deepcopy(conv).requires_grad_(False)
            folded.bias = nn.Parameter(conv.weight.new_zeros(len(conv.weight)), requires_grad=False)
            self.pairs.append(_Pair(conv, norm, folded))
            self.traced.set_submodule(str(before.target), folded)
            node.replace_all_uses_with(before)
            self.traced.graph.erase_node(node)
        self.traced.delete_all_unused_submodules()
        self.traced.recompile()
        self._crop(images[:1])
        self.refresh()
        if blocked and images.device.type == "cpu":
            self._block()

    @torch.no_grad()
    def _crop(self, image: Tensor) -> None:
        hooks = [pair.folded.register_forward_pre_hook(pair.crop) for pair in self.pairs]
        self.traced(image)
        for hook in hooks:
            hook.remove()

    def _block(self) -> None:
        """Replace the first convolution, if it reads images of few channels with stride 2."""
        for pair in self.pairs:
            if pair.sees_few_channels_with_stride_2():
                name = next(name for name, module in self.traced.named_modules() if module is pair.folded)
                self.blocks = Blocks(pair.folded, pair.size_px)
                self.traced.set_submodule(name, self.blocks)
                return

    @torch.no_grad()
    def refresh(self) -> None:
        """Fold the model's current weights and running statistics."""
        for pair in self.pairs:
            pair.refresh()
        if self.blocks is not None:
            self.blocks.refresh()

    def forward(self, images: Tensor) -> Tensor:
        """The model's logits, up to rounding."""
        if images.shape[2:] != self.size_px:
            raise ValueError(f"folded for images of {tuple(self.size_px)} pixels, not {tuple(images.shape[2:])}")
        return self.traced(images)


class Blocks(nn.Module):
    """A convolution of stride 2 as one of stride 1 over blocks of 2 x 2 pixels, which become channels.

    The kernel is padded with zeros so that its taps form pairs that begin at even pixels.

    Args:
        conv: without dilation or groups, padding with zeros.
        size_px: (height, width) of its maps, even.
    """

    def __init__(self, conv: nn.Conv2d, size_px: tuple[int, ...]) -> None:
        super().__init__()
        self.source = [conv]  # in a list, so that it is no submodule: its weights are copied, not used
        self.fill: list[int] = []  # zeros before and after the kernel's columns, then its rows, as `pad` takes them
        self.padding: list[int] = []  # blocks before and after the map's, in the same order
        for side in (1, 0):
            size, kernel, padding = size_px[side], conv.weight.shape[2 + side], int(conv.padding[side])
            before = padding % 2
            after = (before + kernel) % 2
            taps, places = (before + kernel + after) // 2, (size + 2 * padding - kernel) // 2 + 1
            first = (padding + before) // 2
            self.fill += [before, after]
            self.padding += [first, places + taps - 1 - size // 2 - first]
        self.weight = nn.Parameter(self._arranged(), requires_grad=False)
        self.bias = conv.bias

    def _arranged(self) -> Tensor:
        """The kernel (O, I, h, w) as (O, 4 I, h / 2, w / 2)."""
        kernel = functional.pixel_unshuffle(functional.pad(self.source[0].weight.detach(), self.fill), 2)
        return kernel.contiguous(memory_format=torch.channels_last)

    def refresh(self) -> None:
        """Copy the convolution's current weights."""
        self.weight.copy_(self._arranged())

    def forward(self, maps: Tensor) -> Tensor:
        """The convolution's output."""
        blocks = functional.pixel_unshuffle(maps, 2).contiguous(memory_format=torch.channels_last)
        return functional.conv2d(functional.pad(blocks, self.padding), self.weight, self.bias)


@dataclass
class _Pair:
    """A convolution and the batch norm after it, and the convolution that replaces both."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    folded: nn.Conv2d
    taps: tuple[slice, slice] = (slice(None), slice(None))  # rows and columns of the kernel that are kept
    size_px: tuple[int, ...] = ()  # (height, width) of its input maps

    def crop(self, folded: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Drop the taps that read only padding on maps of the size of `inputs`: a forward pre-hook."""
        conv = self.conv
        self.size_px = tuple(inputs[0].shape[2:])
        if conv.padding_mode != "zeros" or isinstance(conv.padding, str) or set(conv.dilation) != {1}:
            return
        sides = zip(inputs[0].shape[2:], conv.kernel_size, conv.stride, conv.padding, strict=True)
        (rows, top), (columns, left) = (_useful_taps(*side) for side in sides)
        self.taps, self.folded.padding = (rows, columns), (top, left)
        self.folded.weight = nn.Parameter(
            conv.weight.detach()[:, :, rows, columns].clone(memory_format=torch.preserve_format), requires_grad=False
        )

    def sees_few_channels_with_stride_2(self) -> bool:
        """Whether `Blocks` can replace it and is faster."""
        conv = self.folded
        plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
        regular = plain and not isinstance(conv.padding, str) and not any(side % 2 for side in self.size_px)
        return regular and conv.stride == (2, 2) and conv.in_channels <= FEW_CHANNELS

    def refresh(self) -> None:
        """Copy the current weights and statistics."""
        mean, variance = self.norm.get_buffer("running_mean"), self.norm.get_buffer("running_var")
        weight, bias = fuse_conv_bn_weights(
            self.conv.weight, self.conv.bias, mean, variance, self.norm.eps, self.norm.weight, self.norm.bias
        )
        self.folded.weight.copy_(weight[:, :, *self.taps])
        self.folded.get_parameter("bias").copy_(bias)


def _useful_taps(size: int, kernel: int, stride: int, padding: int) -> tuple[slice, int]:
    """The taps of a kernel side that read a map of `size` somewhere, and the padding that they need."""
    places = range((size + 2 * padding - kernel) // stride + 1)
    met = [tap for tap in range(kernel) if any(0 <= place * stride - padding + tap < size for place in places)]
    first, after = met[0], met[-1] + 1
    rest = padding - first
    if rest < 0 or (size + 2 * rest - (after - first)) // stride + 1 != len(places):
        return slice(0, kernel), padding
    return slice(first, after), rest
