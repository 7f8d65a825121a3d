"""Checks whether a copy of a model may replace it in an attack: equal logits and equal input gradients.

Equal logits are not enough. An attack follows gradients, and a model may define its own (a straight-through estimator,
a hook, `no_grad` inside), which a copy of its forward pass does not have: attacks on such a copy find nothing and the
model seems robust.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EXAMPLES = 16  # images whose gradients are compared
NOISE = 0.06  # largest change of a pixel in a perturbed image
SMALL = 1e-3  # gradients shorter than this share of the longest are compared relative to this share of the longest
Loss = Callable[[Tensor], Tensor]  # logits (N,K) -> (N,)


@dataclass(frozen=True)
class Tolerance:
    """Largest differences that count as rounding.

    Attributes:
        logits: largest difference, relative to the largest logit.
        gradients: largest length of the difference of an image's gradients, relative to the gradient's length. Rounding
            moves single units over the kink of a ReLU or to another maximum, so this is not small: 0.04 was measured
            (ResNet-18 at 32 px).
        best_gradients: the same for the quarter of the images that agree best. At 224 px every image has such
            units, each of little weight: 0.005 (ResNet-18, ResNet-50, DenseNet-121).
    """

    logits: float
    gradients: float
    best_gradients: float


IN_FP32 = Tolerance(logits=1e-4, gradients=0.25, best_gradients=0.02)
IN_BF16 = Tolerance(logits=0.1, gradients=1.0, best_gradients=0.5)


@contextmanager
def ieee_fp32() -> Iterator[None]:
    """Context in which all is computed in fp32: no autocast, and no TF32, torch's default for convolutions."""
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32


def agree(copy: nn.Module, model: nn.Module, images: Tensor, allowed: Tolerance = IN_FP32) -> bool:
    """Whether a copy has the model's logits and input gradients, on these images with noise and on random ones.

    Args:
        copy: replaces the model if the check passes.
        model: logits (N,K) from images, frozen.
        images: (N,C,H,W) some of the images to attack.
        allowed: differences that pass.
    """
    return logits_agree(copy, model, images, allowed) and all(
        _close(_gradients(copy, some, loss), _gradients(model, some, loss), allowed)
        for some in _probes(images)
        for loss in _losses(model, some)
    )


def logits_agree(copy: nn.Module, model: nn.Module, images: Tensor, allowed: Tolerance = IN_FP32) -> bool:
    """The same for the logits only, of a batch and of one image."""
    with torch.no_grad():
        for some in (images, images[:1], *_probes(images)):
            wanted = model(some)
            if not bool(((copy(some) - wanted).abs() <= allowed.logits * wanted.abs().amax()).all()):
                return False
    return True


def _probes(images: Tensor) -> Iterator[Tensor]:
    """Evenly spaced images with noise added, then as many random images; deterministic.

    Images without noise may have areas of one colour, in which rounding decides where a maximum is.
    """
    some = images[:: -(-len(images) // EXAMPLES)]
    generator = torch.Generator().manual_seed(0)
    noise, random = (torch.rand(some.shape, generator=generator).to(images.device) for _ in range(2))
    yield (some + NOISE * (2 * noise - 1)).clamp(0, 1)
    yield random


def _losses(model: nn.Module, images: Tensor) -> list[Loss]:
    """Cross-entropy, margin and a random sum of the logits.

    The cross-entropy is of logits divided by their largest: in fp32 its gradient vanishes for confident predictions.
    """
    with torch.no_grad():
        logits = model(images)
    first, second = logits.topk(2).indices.T
    scale = logits.abs().amax().clamp(min=torch.finfo(torch.float32).tiny)
    weights = torch.rand(logits.shape[1], generator=torch.Generator().manual_seed(1)).to(logits) - 0.5
    rows = torch.arange(len(images), device=images.device)
    return [
        lambda z: F.cross_entropy(z / scale, first, reduction="none"),
        lambda z: z[rows, second] - z[rows, first],
        lambda z: z @ weights,
    ]


def _gradients(model: nn.Module, images: Tensor, loss: Loss) -> Tensor:
    """Input gradients (N,D), float64; values that are not finite become 0, as in the attacks."""
    x = images.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss(model(x)).sum(), [x])
    return gradient.double().nan_to_num(0, 0, 0).flatten(1)


def _close(found: Tensor, wanted: Tensor, allowed: Tolerance) -> bool:
    lengths = wanted.norm(dim=1)
    apart = (found - wanted).norm(dim=1) / lengths.clamp(min=SMALL * float(lengths.amax()))
    apart = apart.nan_to_num(0)  # 0/0: both are 0
    return bool(apart.amax() <= allowed.gradients and apart.quantile(0.25) <= allowed.best_gradients)
