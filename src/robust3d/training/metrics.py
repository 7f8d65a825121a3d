"""Validation metrics and their trivial baselines: images, masks, points and accuracies."""

import math

import torch
from torch import Tensor
from torch.nn import functional

COLLAPSED_SPREAD = 0.02  # reconstructions that vary less than this share of the truth are one image


def psnr(pred: Tensor, truth: Tensor) -> float:
    """Mean over images of the peak signal-to-noise ratio in dB, for values in [0, 1].

    Args:
        pred: (N, ...) any trailing shape, float.
        truth: the same shape.

    Returns:
        The mean of per-image PSNR (as pixelNeRF reports it); inf if an image is exact.
    """
    _same_shape(pred, truth)
    error = (pred.double() - truth.double()).square().flatten(1).mean(1)
    return float((-10 * error.log10()).mean())


def mask_iou(pred: Tensor, truth: Tensor) -> float:
    """Mean over images of |pred ∩ truth| / |pred ∪ truth|, both bool (N, ...); two empty masks agree (1)."""
    _same_shape(pred, truth)
    pred, truth = pred.bool().flatten(1), truth.bool().flatten(1)
    intersection, union = (pred & truth).sum(1).double(), (pred | truth).sum(1)
    return float(torch.where(union > 0, intersection / union.clamp(min=1), 1.0).mean())


def best_constant_mask(truth: Tensor) -> Tensor:
    """The constant mask (H, W) with the highest mean IoU against bool masks (N, H, W), among all level sets.

    The trivial baseline of a predicted mask: a method that ignores its input can do no better than about
    this. Candidates are the sets of pixels that are foreground in at least k images, for up to 32 values of
    k between 1 and N.
    """
    count = truth.bool().sum(0)
    levels = torch.linspace(1, len(truth), min(len(truth), 32), device=truth.device).round()
    return max((count >= k for k in levels), key=lambda mask: mask_iou(mask.expand_as(truth), truth))


def deviation(images: Tensor) -> float:
    """Root of the variance over images (N, ...), averaged over pixels and channels; 0 if all are alike."""
    return float(images.var(0, unbiased=False).mean().sqrt())


def one_image(spread: float) -> str | None:
    """The sentence of a pre-training whose reconstructions are one image, whatever its input; None if they are not.

    Args:
        spread: deviation of held-out reconstructions over that of the truth.
    """
    if spread >= COLLAPSED_SPREAD:
        return None
    return f"reconstructions have collapsed to one image: they vary {spread:.2g} times as much as the truth"


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Fraction of rows (N, K) whose largest logit is the label (N,)."""
    return float((logits.argmax(1) == labels).double().mean())


def chamfer_l1(pred: Tensor, truth: Tensor, worst: float = math.sqrt(3.0)) -> float:
    """DVR's Chamfer-L1: mean of accuracy and completeness, Euclidean distances to the nearest point.

    Args:
        pred: (N, 3) points; empty if the method gives no surface.
        truth: (M, 3) points, not empty.
        worst: value for an empty prediction, by default the diagonal of the unit cube that contains all points.
            It is counted, never dropped from a mean.
    """
    if not len(truth):
        raise ValueError("the true surface has no points")
    if not len(pred):
        return worst
    distance = torch.cdist(pred.double(), truth.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return float((distance.amin(1).mean() + distance.amin(0).mean()) / 2)


def _same_shape(pred: Tensor, truth: Tensor) -> None:
    if pred.shape != truth.shape:
        raise ValueError(f"prediction {tuple(pred.shape)} and truth {tuple(truth.shape)} differ in shape")


def judged(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy of logits (N, K), that of the best constant answer, share of the commonest answer, and cross-entropy."""
    return {
        "accuracy": accuracy(logits, labels),
        "chance": largest_share(labels),
        "largest_answer": largest_share(logits.argmax(1)),
        "loss": float(functional.cross_entropy(logits, labels)),
    }


def largest_share(classes: Tensor) -> float:
    """Share of the commonest of classes (N,)."""
    return float(classes.bincount().max() / len(classes))
