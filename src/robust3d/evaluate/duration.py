"""How long an evaluation will take, from passes of one batch."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robust3d.attacks.params import AutoAttackParams

CHECKED, CHECKS = 16, 24  # images of each part on which the model's faster copies are compared with it, and how often
SANITY_STEPS = 3  # of APGD at the huge budget, where everything falls


@dataclass(frozen=True)
class Passes:
    """Seconds an image.

    Attributes:
        forward: of a forward pass.
        both: of a forward and a backward pass.
    """

    forward: float
    both: float


def measure(model: nn.Module, images: Tensor) -> Passes:
    """Time passes of one batch (B, C, H, W), after one that warms up."""

    def seconds(gradient: bool) -> float:
        started = time.perf_counter()
        x = images.clone().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            total = model(x).sum()
            if gradient:
                torch.autograd.grad(total, [x])
        float(total.detach())  # waits for the device
        return (time.perf_counter() - started) / len(images)

    seconds(False)
    return Passes(seconds(False), seconds(True))


def expected(passes: Passes, images: int, parts: int, classes: int, params: AutoAttackParams) -> tuple[float, float]:
    """Seconds if every image falls to the first steps of the first attack, and if none falls to any."""
    own = params.backend == "own"
    before = parts * CHECKS * min(CHECKED, params.batch_size) * passes.both if own else 0.0
    budgets, steps, targets = len(params.epsilons), params.iterations + 1, min(params.target_classes, classes - 1)
    each = {
        "apgd-ce": steps * passes.both * budgets,
        "apgd-t": targets * steps * passes.both * budgets,
        "fab-t": targets * params.iterations * (passes.both + passes.forward),
        "square": params.square_queries * passes.forward * budgets,
    }
    once = 7 * passes.forward
    # The own attack drops an image as soon as it falls; the official one takes all its steps.
    least = once + (2 * passes.both if own else each[params.attacks[0]])
    most = once + sum(each[name] for name in params.attacks) + SANITY_STEPS * passes.both
    return before + images * least, before + images * most


def in_words(seconds: float) -> str:
    """A duration, roughly."""
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.2g} {name}" if seconds < 10 * unit else f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 1):.0f} seconds"
