"""Copies of a model that compute the same function with fewer operations, for the attacks' many passes.

In eval mode a batch norm is an affine map, so it folds into the convolution before it; forward passes that need no
gradient also fuse activations into the convolutions and keep their weights in the kernels' own layout (CPU). Only
rounding differs, and what an attack finds on a twin is verified on the model itself.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

AGREEMENT = 1e-4  # largest difference of logits, relative to the largest logit, that is rounding


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
            folded = fuse(model).requires_grad_(False)
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
