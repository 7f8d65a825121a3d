"""Auto-PGD (Croce and Hein 2020, section 3) with the step and checkpoint rules of the official code.

An image leaves the batch at its first misclassified iterate. Images do not interact in eval mode, so the set
of fooled images is that of the official code, which runs all iterations for all images.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from robust3d.attacks.norms import per_image, radii, size, unit
from robust3d.attacks.params import Norm
from robust3d.attacks.victim import Victim, misclassified

MOMENTUM = 0.75  # weight of the new step against the last one
INCREASES = 0.75  # share of a window's steps that must raise the loss, else the step size is halved
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # logits (N,K), labels (N,), targets (N,) -> (N,), to be maximised


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy (N,) of the true labels; `targets` is not used."""
    return F.cross_entropy(logits, labels, reduction="none")


def targeted_margin(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target minus that of the label, (N,): replaces targeted DLR below four classes."""
    rows = torch.arange(len(logits), device=logits.device)
    return logits[rows, targets] - logits[rows, labels]


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Targeted difference-of-logits ratio (N,): margin / (z_(1) - (z_(3) + z_(4)) / 2), eq. 8 of the paper."""
    ordered = logits.sort(dim=1, descending=True).values
    scale = ordered[:, 0] - 0.5 * (ordered[:, 2] + ordered[:, 3]) + 1e-12
    return targeted_margin(logits, labels, targets) / scale


def checkpoints(iterations: int) -> list[int]:
    """Iteration counts after which the step sizes are reviewed: 22, 41, 57, 70, 80, 87, 93, 99 for 100."""
    window, shrink, least = (max(int(share * iterations), 1) for share in (0.22, 0.03, 0.06))
    found: list[int] = []
    at = window
    while at <= iterations:
        found.append(at)
        window = max(window - shrink, least)
        at += window
    return found


@dataclass
class _Batch:
    """State of the images that are still attacked; every tensor has one row per image."""

    row: Tensor  # index into the caller's batch
    image: Tensor
    label: Tensor
    target: Tensor
    x: Tensor
    previous: Tensor  # iterate before x
    gradient: Tensor
    step: Tensor  # step size
    loss: Tensor  # of the last iterate, before any reset
    epsilon: Tensor
    increases: Tensor  # of the loss, within the window
    best: Tensor  # iterate of largest loss, with its gradient and loss
    best_gradient: Tensor
    best_loss: Tensor
    best_loss_before: Tensor  # best loss at the last checkpoint
    halved: Tensor  # step size halved at the last checkpoint

    def select(self, rows: Tensor) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass
class Result:
    """Result of an attack.

    Attributes:
        adversarial: (N,C,H,W) fp32, the clean image where the attack failed.
        fooled: (N,) bool, misclassified according to the attack's own forward pass.
        zero_gradients: starts (image, target) at which the gradient was zero everywhere.
        felt: (N,) bool, some start had a gradient that is not zero; None: not known.
    """

    adversarial: Tensor
    fooled: Tensor
    zero_gradients: int = 0
    felt: Tensor | None = None


def apgd(
    victim: Victim,
    images: Tensor,
    labels: Tensor,
    epsilon: float | Tensor,
    norm: Norm,
    noise: Tensor,
    loss: Loss = cross_entropy,
    targets: Tensor | None = None,
    iterations: int = 100,
) -> Result:
    """One run of Auto-PGD per image from a random start.

    Args:
        victim: the frozen model.
        images: (N,C,H,W) in [0,1].
        labels: (N,) int64.
        epsilon: radius of the balls, one for all or (N,).
        norm: their norm.
        noise: (N,C,H,W) direction of the start, uniform in [-1,1] (Linf) or normal (L2); scaled here.
        loss: what to maximise.
        targets: (N,) int64 classes of a targeted loss.
        iterations: gradient steps.

    Returns:
        The result; success is any misclassification, also at the start and also with a targeted loss.
    """
    targets = labels if targets is None else targets
    epsilons = radii(epsilon, images)
    result = Result(images.clone(), torch.zeros_like(labels, dtype=torch.bool))
    x = (images + per_image(epsilons) * unit(noise, norm)).clamp(0, 1)
    logits, value, gradient = victim.differentiate(x, lambda logits: loss(logits, labels, targets))
    result.felt = gradient.flatten(1).abs().amax(1) > 0
    result.zero_gradients = int((~result.felt).sum())
    batch = _Batch(
        row=torch.arange(len(labels), device=labels.device),
        image=images,
        label=labels,
        target=targets,
        x=x,
        previous=x,
        gradient=gradient,
        step=2 * epsilons,
        epsilon=epsilons,
        # The official code compares the first loss with an empty row of its buffer: zero.
        loss=torch.zeros_like(value),
        increases=torch.zeros_like(value),
        best=x,
        best_gradient=gradient,
        best_loss=value,
        best_loss_before=value,
        halved=torch.ones_like(labels, dtype=torch.bool),
    )
    batch = _drop_fooled(batch, logits, result)
    reviews, last_review = set(checkpoints(iterations)), 0
    for done in range(1, iterations + 1):
        if len(batch.row) == 0:
            break
        momentum = MOMENTUM if done > 1 else 1.0
        batch.x, batch.previous = _step(batch, norm, momentum), batch.x
        if done == iterations:  # no step follows that needs a gradient
            with torch.no_grad():
                _drop_fooled(batch, victim(batch.x), result)
            break
        logits = _evaluate(victim, batch, loss)
        batch = _drop_fooled(batch, logits, result)
        if done in reviews:
            _review(batch, done - last_review)
            last_review = done
    return result


def _drop_fooled(batch: _Batch, logits: Tensor, result: Result) -> _Batch:
    fooled = misclassified(logits, batch.label)
    if not bool(fooled.any()):
        return batch
    result.adversarial[batch.row[fooled]] = batch.x[fooled]
    result.fooled[batch.row[fooled]] = True
    return batch.select(~fooled)


def _step(batch: _Batch, norm: Norm, momentum: float) -> Tensor:
    direction = batch.gradient.sign() if norm == "Linf" else unit(batch.gradient, norm)
    epsilon = per_image(batch.epsilon)
    ahead = _project(batch.x + per_image(batch.step) * direction, batch.image, epsilon, norm)
    inertia = batch.x - batch.previous
    moved = batch.x + (ahead - batch.x) * momentum + inertia * (1 - momentum)
    return _project(moved, batch.image, epsilon, norm)


def _project(x: Tensor, images: Tensor, epsilon: Tensor, norm: Norm) -> Tensor:
    if norm == "Linf":
        return x.clamp(images - epsilon, images + epsilon).clamp(0, 1)
    delta = x - images
    return (images + unit(delta, norm) * per_image(size(delta, norm)).minimum(epsilon)).clamp(0, 1)


def _evaluate(victim: Victim, batch: _Batch, loss: Loss) -> Tensor:
    """Loss and gradient at the new iterate, kept if they are the best so far; returns its logits."""
    logits, value, batch.gradient = victim.differentiate(
        batch.x, lambda logits: loss(logits, batch.label, batch.target)
    )
    batch.increases = batch.increases + (value > batch.loss)
    batch.loss = value
    better = value > batch.best_loss
    batch.best = torch.where(per_image(better), batch.x, batch.best)
    batch.best_gradient = torch.where(per_image(better), batch.gradient, batch.best_gradient)
    batch.best_loss = torch.where(better, value, batch.best_loss)
    return logits


def _review(batch: _Batch, window: int) -> None:
    """Halve the step of images whose loss rose too seldom, or not at all since an unreduced checkpoint.

    They restart from their best iterate; the momentum still uses the iterate before that, as in the official code.
    """
    seldom = batch.increases <= INCREASES * window
    stuck = ~batch.halved & (batch.best_loss_before >= batch.best_loss)
    batch.halved = seldom | stuck
    batch.best_loss_before = batch.best_loss
    batch.increases = torch.zeros_like(batch.increases)
    batch.step = torch.where(batch.halved, batch.step / 2, batch.step)
    batch.x = torch.where(per_image(batch.halved), batch.best, batch.x)
    batch.gradient = torch.where(per_image(batch.halved), batch.best_gradient, batch.gradient)
