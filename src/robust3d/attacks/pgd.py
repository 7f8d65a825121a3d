"""PGD as MadryLab's `robustness` 1.2.1 runs it in adversarial training, with its option for the best step."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robust3d.attacks.norms import per_image
from robust3d.attacks.params import PgdParams


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    params: PgdParams,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Ascend the cross-entropy inside the ball around `images` (Madry et al. 2018; Geon3D section 4).

    With `best_step` each image gets the iterate of strictly largest loss among the start and all steps (8
    candidates for 7 steps: 8 forward, 7 backward passes); an image whose loss never rises is returned unchanged.
    Only the gradient of the input is computed. The caller puts the model in eval mode, so that batch-norm
    buffers stay as they are.

    Args:
        model: logits from pixels in [0,1], normalisation inside.
        images: (N,C,H,W) in [0,1].
        labels: (N,) int64.
        params: norm, radius, step and number of steps.
        generator: of the random start, on the device of `images`; needed if `params.random_start`.

    Returns:
        Adversarial images (N,C,H,W) and their cross-entropies (N,), or None without `best_step`: the last
        iterate is not evaluated.
    """
    images = images.detach()
    x = _random_start(images, params, generator) if params.random_start else images.clone()
    best, best_loss = x, torch.full(labels.shape, -torch.inf, device=x.device)
    for _ in range(params.steps):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            losses = F.cross_entropy(model(x), labels, reduction="none")
            (gradient,) = torch.autograd.grad(losses.mean(), [x])
        x = x.detach()
        best, best_loss = _better(x, losses.detach(), best, best_loss)
        x = _project(_step(x, gradient, params), images, params)
    if not params.best_step:
        return x, None
    with torch.no_grad():
        losses = F.cross_entropy(model(x), labels, reduction="none")
    return _better(x, losses, best, best_loss)


def _better(x: Tensor, loss: Tensor, best: Tensor, best_loss: Tensor) -> tuple[Tensor, Tensor]:
    better = loss > best_loss
    return torch.where(per_image(better), x, best), torch.where(better, loss, best_loss)


def _step(x: Tensor, gradient: Tensor, params: PgdParams) -> Tensor:
    if params.norm == "Linf":
        return x + params.step_size * gradient.sign()
    length = per_image(gradient.flatten(1).norm(dim=1))
    return x + params.step_size * gradient / (length + 1e-10)


def _project(x: Tensor, images: Tensor, params: PgdParams) -> Tensor:
    """Onto the ball, then the box; the second never leaves the ball because it moves towards the image."""
    delta = x - images
    if params.norm == "Linf":
        delta = delta.clamp(-params.epsilon, params.epsilon)
    else:
        delta = delta.renorm(p=2, dim=0, maxnorm=params.epsilon)
    return (images + delta).clamp(0, 1)


def _random_start(images: Tensor, params: PgdParams, generator: torch.Generator | None) -> Tensor:
    if generator is None:
        raise ValueError("a random start needs a generator")
    if params.norm == "Linf":
        noise = 2 * torch.rand(images.shape, generator=generator, device=images.device) - 1
    else:
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        noise = noise / per_image(noise.flatten(1).norm(dim=1))
    return (images + params.epsilon * noise).clamp(0, 1)
