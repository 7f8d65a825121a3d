"""Attacks on classifiers of voxels: FGSM and iterative FGSM, flips of voxels, quarter turns.

Volumes are (N, D, H, W) in [0, 1], like images of D channels.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from robust3d.attacks.norms import per_image
from robust3d.attacks.voxel_params import StepReading

Model = Callable[[Tensor], Tensor]


def step_length(reading: StepReading, epsilon: float, steps: int) -> float:
    """Length of a step of iterative FGSM under a reading of "perturbation size"."""
    return {"each": epsilon, "total": epsilon / steps, "fifth": epsilon / 5}[reading]


def iterative_fgsm(
    model: Model,
    volumes: Tensor,
    labels: Tensor,
    length: float,
    steps: tuple[int, ...],
    clip: bool,
    first: Tensor | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Volumes after some numbers of steps along the sign of the gradient (Kurakin et al. 2017); one step: FGSM.

    Args:
        model: logits of volumes.
        volumes: (N, D, H, W).
        labels: (N,).
        length: of a step.
        steps: the numbers of steps, ascending.
        clip: to [0, 1] after each step.
        first: the gradient at the volumes, where it is known.
    """
    x, gradient = volumes.detach(), first
    for step in range(1, max(steps) + 1):
        if step > 1 or gradient is None:
            gradient = loss_gradient(model, x, labels)
        x = x + length * gradient.sign()
        if clip:
            x = x.clamp(0, 1)
        if step in steps:
            yield step, x


def loss_gradient(model: Model, x: Tensor, labels: Tensor) -> Tensor:
    """Gradient of each volume's cross-entropy; zero where a confident answer leaves fp32 no loss to see."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        loss = functional.cross_entropy(model(x), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, [x])
    return gradient


def _margin_gradient(model: Model, x: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the strongest other logit less the label's, which does not vanish for confident answers."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(x)
        own = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, labels[:, None], True)
        margin = logits.masked_fill(own, -torch.inf).amax(1) - logits[own]
        (gradient,) = torch.autograd.grad(margin.sum(), [x])
    return gradient


def binarised(volumes: Tensor) -> Tensor:
    """Voxels again: 1 above 0.5. It undoes every attack that moves a voxel by less than one half."""
    return (volumes > 0.5).float()


def flip(model: Model, volumes: Tensor, labels: Tensor, budgets: tuple[int, ...], rounds: int) -> dict[int, Tensor]:
    """Binary volumes with at most so many voxels flipped, by budget: those that raise the margin of another class most.

    Each round flips an equal share of the budget, the voxels with the largest gradient towards their other value; none
    is flipped twice. A volume that is misclassified on the way keeps the flips that did it.

    Args:
        model: logits of volumes.
        volumes: (N, D, H, W) of 0 and 1.
        labels: (N,).
        budgets: numbers of voxels.
        rounds: at most.
    """
    return {budget: _flipped(model, volumes, labels, budget, min(rounds, budget)) for budget in budgets}


def _flipped(model: Model, volumes: Tensor, labels: Tensor, budget: int, rounds: int) -> Tensor:
    x, touched = volumes.clone(), torch.zeros_like(volumes, dtype=torch.bool)
    budget = min(budget, volumes[0].numel())
    shares = [budget * (number + 1) // rounds - budget * number // rounds for number in range(rounds)]
    for share in shares:
        with torch.no_grad():
            still = model(x).argmax(1) == labels
        if not share or not bool(still.any()):
            break
        gain = _margin_gradient(model, x, labels) * (
            1 - 2 * x
        )  # of the margin, to first order, if the voxel is flipped
        gain = gain.masked_fill(touched, -torch.inf).flatten(1)
        chosen = torch.zeros_like(gain, dtype=torch.bool).scatter_(1, gain.topk(share, 1).indices, True)
        chosen = chosen.reshape(x.shape) & per_image(still)
        x, touched = torch.where(chosen, 1 - x, x), touched | chosen
    return x


def quarter_turns(model: Model, volumes: Tensor, labels: Tensor, up: str) -> Tensor:
    """Each volume in the one of four turns about the vertical whose loss is largest; voxels stay voxels.

    Args:
        model: logits of volumes.
        volumes: (N, X, Y, Z).
        labels: (N,).
        up: the vertical axis, "y" or "z".
    """
    plane = (1, 3) if up == "y" else (1, 2)
    turned = [torch.rot90(volumes, turns, plane) for turns in range(4)]
    with torch.no_grad():
        losses = [functional.cross_entropy(model(x), labels, reduction="none") for x in turned]
    worst = torch.stack(losses).argmax(0)
    return torch.stack(turned)[worst, torch.arange(len(volumes), device=volumes.device)]
