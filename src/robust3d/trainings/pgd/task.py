"""Training on adversarial images only."""

import torch
from torch import Tensor

from robust3d.training.classification import Classification


class AdversarialTraining(Classification):
    """Trains on adversarial examples against the current network."""

    def examples(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Adversarial images against the current network."""
        return self.attack(images, labels, generator)

    def score(self, validation: dict[str, float]) -> float:
        """Accuracy on attacked images."""
        return validation["pgd_accuracy"]
