"""Copies of a model that compute the same function with fewer operations, for the attacks' many passes.

Batch norms fold into convolutions; forward passes that need no gradient also fuse activations into the convolutions
and keep their weights in the kernels' own layout (CPU). Only rounding differs, which is checked; adversarial images
found on a copy are verified on the model itself.
"""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robust3d.attacks.agreement import IN_BF16, agree, logits_agree
from robust3d.attacks.folding import Blocks, Folded


@dataclass(frozen=True)
class Twins:
    """The two copies; both map (N,C,H,W) to the model's logits (N,K).

    Attributes:
        differentiable: for passes with gradients with respect to the images.
        inference: for passes under `torch.no_grad`.
    """

    differentiable: nn.Module
    inference: nn.Module


class InBf16(nn.Module):
    """A copy of a model whose convolutions and matrix products compute in bfloat16; images and logits stay fp32."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.copy = copy.deepcopy(model).requires_grad_(False)
        for module in self.copy.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | Blocks):
                module.to(torch.bfloat16)  # once, not at every pass

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N,K), coarsely rounded, of images (N,C,H,W)."""
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.copy(images).float()


def coarse_twins(model: nn.Module, twins: Twins | None, images: Tensor) -> Twins | None:
    """Copies in bfloat16 for an attack's passes; success is decided by the model itself.

    None if such a copy cannot be made, or if its logits or gradients near `images` differ from the model's.
    """
    try:
        coarse = InBf16(model if twins is None else twins.differentiable).eval()
        return Twins(coarse, coarse) if agree(coarse, model, images, IN_BF16) else None
    except Exception:  # anything the model's code may raise in another precision
        return None


def twins_of(
    model: nn.Module | Callable[[Tensor], Tensor], images: Tensor, notices: list[str] | None = None
) -> Twins | None:
    """Faster copies of a deterministic model in eval mode; None if there are none.

    There are none if the model cannot be traced, or if logits or gradients of the copies differ by more than rounding
    on `images` or near them.

    Args:
        model: logits from pixels.
        images: (N,C,H,W) some of what will be attacked.
        notices: gets a message if there are none.
    """
    if not isinstance(model, nn.Module):
        return None
    with torch.no_grad():
        try:
            folded, blocked = Folded(model, images).eval(), Folded(model, images, blocked=True).eval()
            sound = agree(folded, model, images) and agree(blocked, model, images)
        except Exception:  # tracers raise whatever the traced code raises
            if notices is not None:
                notices.append("the attacks use the model itself: no faster copy of it can be made")
            return None
        if not sound:
            if notices is not None:
                notices.append("the attacks use the model itself, because a faster copy has other logits or gradients")
            return None
        try:
            inference = _fused(folded, images) if images.device.type == "cpu" else folded
            return Twins(blocked, inference if logits_agree(inference, model, images) else folded)
        except Exception:
            return Twins(blocked, folded)


def _fused(model: nn.Module, images: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's deprecation; without it the folded copy is used for both
        traced = torch.jit.trace(model, images[:2], check_trace=False)
        return torch.jit.optimize_for_inference(torch.jit.freeze(traced))
