"""Trainings on images that show several classes each: a yes or no for every class, judged by mean average precision."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from robust3d.training.classification import VALIDATION_BATCH, CleanClassification, to_unit
from robust3d.training.precision import mean_average_precision


def losses(logits: Tensor, shown: Tensor) -> Tensor:
    """Binary cross-entropy of logits (..., K), the mean over the classes that are asked; `shown` is NaN for others."""
    asked = ~shown.isnan()
    each = functional.binary_cross_entropy_with_logits(
        logits, shown.nan_to_num().expand_as(logits), reduction="none", weight=asked.float().expand_as(logits)
    )
    return each.sum(-1) / asked.sum(-1).clamp(min=1)


def judged(logits: Tensor, shown: Tensor) -> dict[str, float]:
    """Mean average precision of logits (N, K), that of scores without sense, and the loss."""
    return {
        "mean_average_precision": mean_average_precision(logits.cpu().numpy(), shown.cpu().numpy()),
        "chance": chance(shown),
        "loss": float(losses(logits, shown).mean()),
    }


def chance(shown: Tensor) -> float:
    """The mean over classes of the share of images (N, K) that show it: what equal scores for all would reach."""
    shares: Tensor = shown.nanmean(0)
    return float(shares[shares > 0].mean())


class SeveralLabels:
    """What trainings on such images share."""

    several_labels = True

    def collapse(self, validation: dict[str, float]) -> str | None:
        """A message if the scores have no value."""
        return None if math.isfinite(validation["loss"]) else "the classifier's scores are not finite"

    def score(self, validation: dict[str, float]) -> float:
        """Mean average precision."""
        return validation["mean_average_precision"]


class MultiLabelClassification(SeveralLabels, CleanClassification):
    """Trains all layers."""

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross-entropy of one batch."""
        assert self.images.shown is not None
        images, _ = self.clean_batch(step, generator)
        shown = self.images.shown[self.labelled[self.batch(step)]]
        return losses(self.module(images), shown).mean(), {}

    def validate(self) -> dict[str, float]:
        """Mean average precision on the held-out images."""
        assert self.held_out.shown is not None
        batches = self.held_out.batches(VALIDATION_BATCH)
        return judged(torch.cat([self.classifier(to_unit(images)) for images, _ in batches]), self.held_out.shown)
