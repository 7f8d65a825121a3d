"""3D-Prior's losses (section 3, equations 2 to 5) and its augmentation."""

from typing import Literal

import torch
from torch import Tensor

from robust3d.models.tokens import Tokens
from robust3d.training.augmentation import crop_grid, cropped


def error(pred: Tensor, truth: Tensor, kind: Literal["squared", "norm"], known: Tensor | None = None) -> Tensor:
    """Distance of predictions (N, ...) and truths, a scalar.

    Args:
        pred: one entry per image along the first axis.
        truth: the same shape.
        kind: "squared": the mean squared error; "norm": the mean over images of the Euclidean norm, whose gradient is 0
            where the two are equal.
        known: bool, the same shape; the rest does not count.
    """
    difference = pred.float() - truth.float()
    if known is not None:
        difference = torch.where(known, difference, 0.0)
    if kind == "norm":
        return torch.linalg.vector_norm(difference.flatten(1), dim=1).mean()
    counted = difference.numel() if known is None else known.sum().clamp(min=1)
    return difference.square().sum() / counted


def distillation(ours: Tokens, teachers: Tokens, parts: tuple[str, ...], kind: Literal["squared", "norm"]) -> Tensor:
    """Distance of two representations, the mean over `parts`, fields of `Tokens`."""
    return torch.stack([error(getattr(ours, part), getattr(teachers, part), kind) for part in parts]).mean()


def density(values: Tensor | None, term: Literal["mean", "sum"], like: Tensor) -> Tensor:
    """The L1 norm of densities, which are not negative: their mean, or their sum over images and samples; 0 if none."""
    if values is None:
        return torch.zeros((), device=like.device)
    return values.mean() if term == "mean" else values.sum()


def augmented(
    pictures: list[Tensor], depth: Tensor, crop: float, flip: bool, generator: torch.Generator
) -> tuple[list[Tensor], Tensor]:
    """Random square crops at the images' size, and left-right flips of half of them.

    Args:
        pictures: each (N, 3, H, W), cut alike, bilinear.
        depth: (N, H, W), cut alike, nearest: it may be infinite or NaN. Its values stay.
        crop: smallest side of a crop, of the image's.
        flip: whether images are flipped.
        generator: of the draws.
    """
    if crop == 1 and not flip:
        return pictures, depth
    grid = crop_grid(pictures[0], crop, flip, generator)
    return [cropped(one, grid) for one in pictures], cropped(depth[:, None], grid, "nearest")[:, 0]
