"""Targeted FAB (Croce and Hein 2020, arXiv:1907.02044): the nearest adversarial image.

The projections on hyperplane and box are found by Newton's method on a concave piecewise linear function
instead of sorting all pixels. It depends on no budget, so one run serves every epsilon.
"""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from robust3d.attacks.apgd import targeted_margin
from robust3d.attacks.norms import per_image, size
from robust3d.attacks.params import Norm
from robust3d.attacks.victim import Victim, misclassified

ALPHA_MAX = 0.1  # largest pull towards the clean image's own projection
OVERSHOOT = 1.05  # eta: how far past the hyperplane to go
BACKWARD = 0.9  # beta: share of the displacement kept after a success


@dataclass
class _Batch:
    """State of the images that are still attacked, one row each."""

    row: Tensor
    image: Tensor
    label: Tensor
    target: Tensor
    stop: Tensor
    x: Tensor
    margin: Tensor  # target logit minus label logit at x, with its gradient
    gradient: Tensor

    def select(self, rows: Tensor) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


def fab(
    victim: Victim,
    images: Tensor,
    labels: Tensor,
    targets: Tensor,
    norm: Norm,
    iterations: int = 100,
    stop_radius: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Smallest misclassified perturbation found per image, walking along the boundary to one target each.

    Args:
        victim: the frozen model.
        images: (N,C,H,W) in [0,1], correctly classified.
        labels: (N,) int64.
        targets: (N,) int64, class of the boundary to linearise.
        norm: norm to minimise.
        iterations: linearisations.
        stop_radius: (N,) stop for an image once its radius is at most this; None: never.

    Returns:
        Adversarial images (N,C,H,W) and their norms (N,); the clean image and inf where none was found.
    """
    stop = torch.full_like(images[:, 0, 0, 0], -torch.inf) if stop_radius is None else stop_radius
    best, radius = images.clone(), torch.full_like(stop, torch.inf)
    row = torch.arange(len(labels), device=labels.device)
    batch = _Batch(row, images, labels, targets, stop, images, stop, images)
    _linearise(victim, batch)
    for done in range(1, iterations + 1):
        batch.x = _advance(batch, norm)
        with torch.no_grad():
            fooled = misclassified(victim(batch.x), batch.label)
        distance = size(batch.x - batch.image, norm)
        better = fooled & (distance < radius[batch.row])
        best[batch.row[better]] = batch.x[better]
        radius[batch.row[better]] = distance[better]
        back = batch.image + (batch.x - batch.image) * BACKWARD
        batch.x = torch.where(per_image(fooled), back, batch.x)
        live = radius[batch.row] > batch.stop
        if not bool(live.all()):
            batch = batch.select(live)
        if done == iterations or len(batch.row) == 0:
            break
        _linearise(victim, batch)
    return best, radius


def _linearise(victim: Victim, batch: _Batch) -> None:
    _, batch.margin, batch.gradient = victim.differentiate(
        batch.x, lambda logits: targeted_margin(logits, batch.label, batch.target)
    )


def _advance(batch: _Batch, norm: Norm) -> Tensor:
    """Next iterate: overshoot the hyperplane from x and from the clean image and mix the two."""
    n = len(batch.row)
    normal = batch.gradient.flatten(1)
    x, image = batch.x.flatten(1), batch.image.flatten(1)
    value_at_image = batch.margin + (normal * (image - x)).sum(1)
    steps = project(
        torch.cat((x, image)), torch.cat((normal, normal)), torch.cat((batch.margin, value_at_image)), norm
    ).reshape(2 * n, *batch.x.shape[1:])
    lengths = size(steps, norm).clamp(min=1e-8)
    from_x, from_image = per_image(lengths[:n]), per_image(lengths[n:])
    alpha = (from_x / (from_x + from_image)).clamp(max=ALPHA_MAX)
    mixed = (batch.x + OVERSHOOT * steps[:n]) * (1 - alpha) + (batch.image + OVERSHOOT * steps[n:]) * alpha
    # Where logits are not finite there is nothing to linearise: only steps back lead to finite ones.
    return torch.where(per_image(batch.margin.isfinite()), mixed.clamp(0, 1), batch.x)


def project(points: Tensor, normal: Tensor, value: Tensor, norm: Norm) -> Tensor:
    """Smallest steps that bring points onto a hyperplane without leaving the box [0,1].

    The best step moves every pixel towards the hyperplane until it hits the box: t (Linf) or t |normal| (L2).
    Its gain f(t) is concave and piecewise linear, so Newton's method from t = 0 rises monotonically to
    the root of f(t) = |value| in a few iterations, without the sort of the closed form.

    Args:
        points: (N,D) in [0,1].
        normal: (N,D) gradient of the linear function.
        value: (N,) its value at the points; the hyperplane is where it is 0.
        norm: norm to minimise.

    Returns:
        Steps (N,D); the longest ones in the box if the hyperplane does not meet the box.
    """
    if norm == "L2":
        normal = torch.where(normal.abs() > 1e-8, normal, 0)  # as in the official code: too small to divide by
    direction = -normal.sign() * torch.where(value >= 0, 1.0, -1.0).to(value.dtype)[:, None]
    room = torch.where(direction < 0, points, 1 - points) * direction.abs()
    gain = normal.abs()
    speed = torch.ones_like(gain) if norm == "Linf" else gain
    missing = value.abs()
    time = torch.zeros_like(missing)
    for _ in range(50):
        reach = torch.minimum(time[:, None] * speed, room)
        slope = (gain * speed * (reach < room)).sum(1)
        shortfall = missing - (gain * reach).sum(1)
        # At the root rounding leaves an error of either sign; a step too small to change `time` ends it.
        ahead = torch.where((shortfall > 0) & (slope > 0), time + shortfall / slope.clamp(min=1e-38), time)
        if torch.equal(ahead, time):
            break
        time = ahead
    return direction * torch.minimum(time[:, None] * speed, room)
