"""Copies of a model that compute the same function with fewer operations, for the attacks' many passes.

In eval mode a batch norm is an affine map, so it folds into the convolution before it; forward passes that need no
gradient also fuse activations into the convolutions and keep their weights in the kernels' own layout (CPU). Only
rounding differs, and what an attack finds on a twin is verified on the model itself.
"""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

AGREEMENT = 1e-4  # largest difference of logits, relative to the largest logit, that is rounding


class Folded(nn.Module):
    """A copy of a traceable model, as in eval mode, whose convolutions contain the batch norms after them.

    Everything else is shared with the model. `refresh` takes over what training has changed since.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.traced = fx.symbolic_trace(model)
        self.pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d, nn.Conv2d]] = []
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
            folded = copy.deepcopy(conv)
            folded.bias = nn.Parameter(conv.weight.new_zeros(len(conv.weight)))
            self.pairs.append((conv, norm, folded.requires_grad_(False)))
            self.traced.set_submodule(str(before.target), folded)
            node.replace_all_uses_with(before)
            self.traced.graph.erase_node(node)
        self.traced.delete_all_unused_submodules()
        self.traced.recompile()
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Fold the model's present weights and running statistics."""
        for conv, norm, folded in self.pairs:
            mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
            weight, bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias
            )
            folded.weight.copy_(weight)
            folded.get_parameter("bias").copy_(bias)

    def forward(self, images: Tensor) -> Tensor:
        """The model's logits, up to rounding."""
        return self.traced(images)


@dataclass(frozen=True)
class Twins:
    """The two copies; both map (N,C,H,W) to the model's logits (N,K).

    Attributes:
        differentiable: for passes that are differentiated with respect to the images.
        inference: for passes under `torch.no_grad`.
    """

    differentiable: nn.Module
    inference: nn.Module


def twins_of(model: nn.Module | Callable[[Tensor], Tensor], images: Tensor) -> Twins | None:
    """Twins of a deterministic model in eval mode, or None where it has none.

    A model that cannot be traced, or whose twins disagree with it on `images` by more than rounding, has none.

    Args:
        model: logits from pixels.
        images: (N,C,H,W) some of what will be attacked.
    """
    if not isinstance(model, nn.Module):
        return None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript announces its end; without it the folded copy serves both
        try:
            folded = Folded(model).eval()
            if not _agree(folded, model, images):
                return None
        except Exception:  # tracers raise whatever the traced code makes them raise
            return None
        try:
            inference = _fused(folded, images) if images.device.type == "cpu" else folded
            return Twins(folded, inference if _agree(inference, model, images) else folded)
        except Exception:
            return Twins(folded, folded)


def _fused(model: nn.Module, images: Tensor) -> nn.Module:
    traced = torch.jit.trace(model, images[:2], check_trace=False)
    return torch.jit.optimize_for_inference(torch.jit.freeze(traced))


def _agree(twin: nn.Module, model: nn.Module, images: Tensor) -> bool:
    """Whether the logits differ by rounding only, for several images at once and for one."""
    for some in (images, images[:1]):
        wanted = model(some)
        if not bool(((twin(some) - wanted).abs() <= AGREEMENT * wanted.abs().amax().clamp(min=1)).all()):
            return False
    return True
