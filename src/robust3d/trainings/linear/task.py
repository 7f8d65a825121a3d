"""Heads of many learning rates on the frozen features of one encoder."""

from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn import functional

from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.classifier import Classifier
from robust3d.seeds import torch_generator
from robust3d.training.classification import CleanClassification
from robust3d.training.features import frozen_features
from robust3d.training.multilabel import SeveralLabels, judged
from robust3d.training.multilabel import losses as multilabel_losses
from robust3d.trainings.linear.params import Params

FOLDS = 5  # of the labelled images, where there are few
ROWS = 2048  # features whose logits by all heads are in memory at once
_FLAT = 1e-6  # a feature of a smaller standard deviation is constant, and stays as it is


class Heads(nn.Module):
    """One linear layer for each learning rate, as many for each fold, and the chosen one, the classifier's own head.

    Args:
        rates: number of layers K.
        chosen: the classifier's head (D inputs, C classes); filled by `choose`, not trained.
        seed: of the initial weights, normal with standard deviation 0.01 as DINOv2's; biases are 0.
        folds: F, by which the layers are repeated: all for the first, second, … fold after all for all images.
    """

    def __init__(self, rates: int, chosen: nn.Linear, seed: int, folds: int = 0) -> None:
        super().__init__()
        drawn = torch.randn(rates, *chosen.weight.shape, generator=torch_generator(seed, "heads")) * 0.01
        self.weight = nn.Parameter(drawn.repeat(1 + folds, 1, 1).to(chosen.weight.device))  # ((1 + F) K, C, D)
        self.bias = nn.Parameter(torch.zeros(len(self.weight), 1, chosen.out_features, device=chosen.weight.device))
        self.chosen = chosen.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) to the logits ((1 + F) K, B, C) of every head."""
        return torch.baddbmm(self.bias, features.expand(len(self.weight), -1, -1), self.weight.transpose(1, 2))

    def choose(self, number: int, mean: Tensor, scale: Tensor) -> None:
        """Make one head the classifier's, for features before they were centred by `mean` and divided by `scale`."""
        with torch.no_grad():
            weight = self.weight[number] / scale
            self.chosen.weight.copy_(weight)
            self.chosen.bias.copy_(self.bias[number, 0] - weight @ mean)


class LinearProbe(CleanClassification):
    """Trains all heads at once.

    The heads share no weight, so a head whose loss is multiplied by r has r times the learning rate: with SGD and no
    weight decay the two are the same.

    The validation images choose among them, but not with few labels: those would be many more labels, and images of few
    objects choose by chance. Then further heads learn all labelled images but one part, the fold, and the best are
    those that are right most often on what they have not seen (Flatland section 3.3 searches in the same way).
    """

    def __init__(self, classifier: Classifier, images: ImageData, held_out: ImageData, params: Params) -> None:
        super().__init__(classifier, images, held_out, params)
        classifier.requires_grad_(False)
        head = classifier.network.get_submodule(classifier.architecture.head)
        assert isinstance(head, nn.Linear) and head.bias is not None, "the last layer of an architecture is linear"
        self.rates = params.scaled_rates
        self.folds = FOLDS if (params.labels_per_class or 0) > 1 else 0
        self.module = self.heads = Heads(len(self.rates), head, params.seed, self.folds)
        self.labels = images.labels[self.labelled]
        self.fold = _dealt(self.labels, self.folds, params.seed) if self.folds else None
        looks = [False, True] if params.augmentation == "flip" else [False]
        features = torch.stack([frozen_features(classifier, images, self.labelled, mirrored) for mirrored in looks])
        self.mean, self.scale = _statistics(features.flatten(0, 1), params.standardise)
        self.features = self._standardised(features)  # (1 or 2, N, D)
        if not self.folds:
            everything = torch.arange(len(held_out), device=held_out.labels.device)
            self.held_out_features = self._standardised(frozen_features(classifier, held_out, everything))

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.scale

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropies of one batch, those of smaller learning rates multiplied by less."""
        index = self.batch(step)
        look = torch.randint(len(self.features), index.shape, generator=generator, device=index.device)
        labels, logits = self.labels[index], self.heads(self.features[look, index])
        losses = functional.cross_entropy(logits.transpose(1, 2), labels.expand(len(logits), -1), reduction="none")
        right = (logits[: len(self.rates)].detach().argmax(2) == labels).double().mean(1)
        return self._weighted(losses, index), {"accuracy": right.max()}

    def _weighted(self, losses: Tensor, index: Tensor) -> Tensor:
        """The sum over heads of their losses ((1 + F) K, B) on the labelled images at B places that they may see."""
        shares = torch.tensor(self.rates, device=losses.device) / max(self.rates)
        if self.fold is None:
            each = losses.mean(1) * shares
        else:
            groups = torch.arange(1 + self.folds, device=losses.device)[:, None]
            seen = self.fold[index] + 1 != groups  # (1 + F, B)
            sums = (losses.unflatten(0, (1 + self.folds, -1)) * seen[:, None]).sum(2)  # (1 + F, K)
            each = (sums / seen.sum(1, keepdim=True).clamp(min=1) * shares).flatten()
        return torch.where(each.isfinite(), each, 0.0).sum()  # others are not spoilt

    def _unseen(self) -> list[Tensor]:
        """Logits (K, n, C), part by part, of images that the heads have not seen: held-out ones, or those of folds."""
        if self.fold is None:
            return [self.heads(part) for part in self.held_out_features.split(ROWS)]
        parts = []
        for features, fold in zip(self.features[0].split(ROWS), self.fold.split(ROWS), strict=True):
            groups = self.heads(features).unflatten(0, (1 + self.folds, -1))
            parts.append(groups[fold + 1, :, torch.arange(len(fold), device=fold.device)].transpose(0, 1))
        return parts

    def validate(self) -> dict[str, float]:
        """Chooses the head of the highest accuracy on unseen images, of equal ones that of the smaller loss."""
        labels = self.held_out.labels if self.fold is None else self.labels
        parts = self._unseen()
        answers = torch.cat([part.argmax(2) for part in parts], 1)
        right = (answers == labels).double().mean(1).tolist()
        losses = self._losses(parts, labels)
        best = max(range(len(right)), key=lambda number: (isfinite(losses[number]), right[number], -losses[number]))
        self._choose(best, losses)
        return {
            "accuracy": right[best],
            "chance": float(labels.bincount().max() / len(labels)),
            "largest_answer": float(answers[best].bincount().max() / len(labels)),
            "loss": losses[best],
            "learning_rate": self.rates[best],
        }

    def _choose(self, best: int, losses: list[float]) -> None:
        """Make a head the classifier's, or refuse if even its loss is not finite."""
        if not isfinite(losses[best]):
            raise UserError(f"learning_rates: with each of {len(losses)} the loss is not finite; add smaller ones")
        self.heads.choose(best, self.mean, self.scale)

    @staticmethod
    def _losses(parts: list[Tensor], labels: Tensor) -> list[float]:
        """The mean cross-entropy of each head."""
        sums = torch.zeros(len(parts[0]), dtype=torch.float64, device=labels.device)
        for logits, truth in zip(parts, labels.split(ROWS), strict=True):
            each = functional.cross_entropy(logits.transpose(1, 2), truth.expand(len(logits), -1), reduction="none")
            sums += each.double().sum(1)
        means: list[float] = (sums / len(labels)).tolist()
        return means


class MultiLabelProbe(SeveralLabels, LinearProbe):
    """The same for images that show several classes each: the best head has the highest mean average precision."""

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross-entropies of one batch, those of smaller learning rates multiplied by less."""
        assert self.images.shown is not None
        index = self.batch(step)
        look = torch.randint(len(self.features), index.shape, generator=generator, device=index.device)
        logits = self.heads(self.features[look, index])
        return self._weighted(multilabel_losses(logits, self.images.shown[self.labelled[index]]), index), {}

    def validate(self) -> dict[str, float]:
        """Chooses the head of the highest mean average precision on unseen images."""
        assert self.held_out.shown is not None and self.images.shown is not None
        shown = self.held_out.shown if self.fold is None else self.images.shown[self.labelled]
        logits = torch.cat(self._unseen(), 1)
        found = [judged(one, shown) for one in logits]
        loss = [one["loss"] for one in found]
        best = max(range(len(found)), key=lambda number: (isfinite(loss[number]), self.score(found[number])))
        self._choose(best, loss)
        return {**found[best], "learning_rate": self.rates[best]}


def _dealt(labels: Tensor, folds: int, seed: int) -> Tensor:
    """The fold (N,) of each labelled image: of each class, and of all, as equally many in each as can be."""
    order = torch.randperm(len(labels), generator=torch_generator(seed, "folds"))
    order = order[labels.cpu()[order].argsort(stable=True)]
    fold = torch.empty(len(labels), dtype=torch.int64)
    fold[order] = torch.arange(len(labels)) % folds
    return fold.to(labels.device)


def _statistics(features: Tensor, standardise: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of the training features, or 0 and 1."""
    if not standardise:
        return torch.zeros_like(features[0]), torch.ones_like(features[0])
    spread = features.double().std(0, unbiased=False).float()
    return features.double().mean(0).float(), torch.where(spread < _FLAT, torch.ones_like(spread), spread)
