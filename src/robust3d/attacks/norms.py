"""Geometry of the Linf and L2 balls around images: sizes, unit directions, exact membership."""

import torch
from torch import Tensor

from robust3d.attacks.params import Norm

TOLERANCE = 1e-6  # relative excess over epsilon that still counts as inside the ball: fp32 rounding


def per_image(values: Tensor) -> Tensor:
    """Reshape (N,) values to (N,1,1,1) so that they broadcast over images."""
    return values.reshape(-1, 1, 1, 1)


def radii(epsilon: float | Tensor, images: Tensor) -> Tensor:
    """Radii of the balls around images (N,C,H,W): one number for all, or (N,), as (N,) of the images' precision."""
    return torch.as_tensor(epsilon, dtype=images.dtype, device=images.device).expand(len(images))


def size(delta: Tensor, norm: Norm) -> Tensor:
    """Norm (N,) of perturbations (N,C,H,W), in their own precision."""
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "Linf" else flat.square().sum(1).sqrt()


def unit(delta: Tensor, norm: Norm) -> Tensor:
    """Perturbations (N,C,H,W) scaled to norm 1; zeros stay zeros."""
    return delta / (per_image(size(delta, norm)) + 1e-12)


def radius(adversarial: Tensor, images: Tensor, norm: Norm) -> Tensor:
    """Distance (N,) between fp32 images, exact: the difference and its norm are taken in float64."""
    return size(adversarial.double() - images.double(), norm)


def pull_inside(adversarial: Tensor, images: Tensor, epsilons: Tensor, norm: Norm) -> Tensor:
    """The nearest fp32 images inside the balls of radii `epsilons` and the box [0,1].

    Attacks compute ``image + epsilon`` in fp32, whose rounding alone can exceed epsilon by more than the
    tolerance (3e-8 of rounding is 8e-6 of 1/255), so candidates are first moved in by that last bit.

    Args:
        adversarial: (N,C,H,W) candidates.
        images: (N,C,H,W) clean images.
        epsilons: (N,) float64 radii of the balls.
        norm: its norm.
    """
    delta, epsilon = adversarial.double() - images.double(), per_image(epsilons)
    if norm == "L2":
        delta = delta * (epsilon / per_image(size(delta, norm)).maximum(epsilon))
        return (images.double() + delta).float().clamp(0, 1)
    inside = (images.double() + delta.clamp(-epsilon, epsilon)).float().clamp(0, 1)
    over = (inside.double() - images.double()).abs() > epsilon * (1 + TOLERANCE)
    return torch.where(over, torch.nextafter(inside, images), inside)
