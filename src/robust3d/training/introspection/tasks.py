"""Trainings on voxels: cross-entropy, adversarial training, and introspective training (Eq. 3)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from robust3d.attacks.pgd import pgd
from robust3d.data.volumes import VoxelData
from robust3d.errors import UserError
from robust3d.models.introspective.network import IntrospectiveNetwork, VoxelClassifier, gradient_penalty
from robust3d.training.draws import Epochs
from robust3d.training.introspection.params import VoxelTrainingParams
from robust3d.training.loop import Task
from robust3d.training.metrics import judged
from robust3d.training.volumes import check_volumes

VALIDATION_BATCH = 128
COLLAPSED_SHARE = 0.99  # of the validation volumes with the same answer


def training_mean(volumes: VoxelData, kind: Literal["scalar", "voxel"]) -> Tensor:
    """Mean of all volumes: a scalar, or (1, R, R, R)."""
    total = torch.zeros(1, *(volumes.resolution,) * 3, dtype=torch.float64)
    for batch, _ in volumes.batches(VALIDATION_BATCH):
        total += batch.double().sum(0).cpu()
    mean = (total / len(volumes)).float()
    return mean.mean() if kind == "scalar" else mean


def check_classes(volumes: VoxelData, held_out: VoxelData, params: VoxelTrainingParams) -> None:
    """Refuse volumes of another size than the network's, and classes or splits without volumes.

    Raises:
        UserError: what is wrong.
    """
    check_volumes(volumes, held_out, params.network.resolution, "network.resolution")
    counts = volumes.labels.bincount(minlength=len(volumes.classes)).tolist()
    if params.supervised and (empty := [name for name, n in zip(volumes.classes, counts) if not n]):
        raise UserError(f"there is nothing to train on of {', '.join(empty)}; leave out these classes")
    if params.supervised and params.synthesises:
        fewest = min(params.initial, params.synthesised)
        if fewest < len(counts):
            raise UserError(
                f"synthesised, initial: {fewest} negatives cannot have each of {len(counts)} classes; ask for more"
            )


class Learner(nn.Module):
    """What training changes: the network with its mean, and the range of scores of real batches.

    Attributes:
        classifier: network and mean.
        score_range: (2,) smallest and largest mean score of a real batch in the last critic pass before a synthesis.
    """

    score_range: Tensor
    classifier: VoxelClassifier

    def __init__(self, classifier: VoxelClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("score_range", torch.tensor([torch.inf, -torch.inf]))


class VoxelTraining(Task):
    """Cross-entropy on volumes: the baseline.

    Args:
        volumes: to train on, on the device.
        held_out: to validate on.
        params: of the training.
    """

    def __init__(self, volumes: VoxelData, held_out: VoxelData, params: VoxelTrainingParams) -> None:
        check_classes(volumes, held_out, params)
        self.volumes, self.held_out, self.params = volumes, held_out, params
        outputs = len(volumes.classes) if params.supervised else 1
        mean = training_mean(volumes, params.mean)
        network = IntrospectiveNetwork(params.network, outputs, params.seed)
        self.module: Learner = Learner(VoxelClassifier(network, mean)).to(volumes.labels.device)
        self.images_per_step = params.real
        self._epochs = Epochs(len(volumes), params.real, params.seed)

    @property
    def classifier(self) -> VoxelClassifier:
        """The classifier in training."""
        return self.module.classifier

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of a batch."""
        volumes, labels = self.real_batch(step)
        logits = self.classifier.network(self.centred(self.examples(volumes, labels, generator))[0])
        loss = functional.cross_entropy(logits, labels)
        return loss, {"accuracy": (logits.detach().argmax(1) == labels).double().mean()}

    def examples(self, volumes: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The volumes to train on for a batch of clean ones."""
        return volumes

    def real_batch(self, step: int) -> tuple[Tensor, Tensor]:
        """A step's real volumes (B, 1, R, R, R) of 0 and 1, and labels."""
        index = self._epochs.batch(step)
        return self.volumes.volumes(index).float(), self.volumes.labels[index.to(self.volumes.labels.device)]

    def centred(self, real: Tensor, negative: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """A mini-batch's real and negative volumes less the mean that `mean_of` names."""
        if self.params.mean_of == "training_set":
            mean = self.classifier.mean
            return real - mean, None if negative is None else negative - mean
        if negative is None:
            return real - self._mean(real), None
        if self.params.mean_of == "halves":
            return real - self._mean(real), negative - self._mean(negative)
        mean = self._mean(torch.cat([real, negative]))
        return real - mean, negative - mean

    def _mean(self, volumes: Tensor) -> Tensor:
        return volumes.mean() if self.params.mean == "scalar" else volumes.mean(0)

    def validate(self) -> dict[str, float]:
        """Accuracy on held-out volumes; chance is that of the best constant answer."""
        batches = [self.classifier(batch.float()) for batch, _ in self.held_out.batches(VALIDATION_BATCH)]
        logits, labels = torch.cat(batches), self.held_out.labels
        return judged(logits, labels)

    def collapse(self, validation: dict[str, float]) -> str | None:
        """A message if (nearly) every validation volume gets the same class."""
        if validation["largest_answer"] < COLLAPSED_SHARE or validation["chance"] >= COLLAPSED_SHARE:
            return None
        return f"the classifier gives one class to {validation['largest_answer']:.0%} of the validation volumes"

    def score(self, validation: dict[str, float]) -> float:
        """Accuracy."""
        return validation["accuracy"]


class AdversarialTraining(VoxelTraining):
    """Cross-entropy on volumes that PGD has changed: a control."""

    def examples(self, volumes: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Adversarial volumes against the current network, with the mean that tests use."""
        flat, _ = pgd(self.classifier, volumes[:, 0], labels, self.params.attack, generator)
        return flat[:, None]


class PenalisedTraining(VoxelTraining):
    """Eq. 3 without synthesis: the negatives are noise, or there are none. Two controls."""

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 3 of a batch, with means in place of sums.

        The Wasserstein term is alpha (mean f of negatives - mean f of real volumes): Eq. 3 prints the real set twice,
        and only this sign agrees with synthesis by ascent on f.
        """
        volumes, labels = self.real_batch(step)
        real, negative = self.centred(volumes, self.negatives(labels, generator))
        network = self.classifier.network
        scores, logits = network.score(real, labels)
        share = torch.rand(len(real), generator=generator, device=real.device)
        partner = real if negative is None else negative
        penalty = gradient_penalty(lambda x: network.score(x, labels)[0], real, partner, share)
        scalars = {"penalty": penalty.detach(), "real_score": scores.detach().mean()}
        gap = torch.zeros((), device=real.device)
        if negative is not None:
            fake = network.score(negative, labels)[0]
            gap = fake.mean() - scores.mean()
            scalars |= {"negative_score": fake.detach().mean()}
        if self.params.sets_threshold(step):
            self._note(scores.detach().mean())
        loss = self._weighted(gap, penalty)
        if self.params.supervised:
            cross_entropy = functional.cross_entropy(logits, labels)
            scalars |= {"cross_entropy": cross_entropy.detach()}
            scalars |= {"accuracy": (logits.detach().argmax(1) == labels).double().mean()}
            loss = cross_entropy + loss
        return loss, scalars

    def _weighted(self, gap: Tensor, penalty: Tensor) -> Tensor:
        if not self.params.supervised:
            return gap + self.params.penalty * penalty
        scale = self.params.alpha if self.params.penalty_reading == "times_alpha" else 1.0
        return self.params.alpha * gap + scale * self.params.penalty * penalty

    def _note(self, mean_score: Tensor) -> None:
        """Widen the range of mean scores of real batches, from which thresholds are drawn."""
        known = self.module.score_range
        low, high = torch.minimum(known[0], mean_score.float()), torch.maximum(known[1], mean_score.float())
        self.module.score_range.copy_(torch.stack([low, high]))

    def negatives(self, labels: Tensor, generator: torch.Generator) -> Tensor | None:
        """Negatives (B, 1, R, R, R) for real volumes of these labels."""
        if self.params.negatives == "none":
            return None
        shape = (len(labels), 1, *(self.volumes.resolution,) * 3)
        return torch.randn(shape, generator=generator, device=labels.device)
