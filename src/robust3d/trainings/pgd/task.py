"""Training on adversarial images only."""

import torch
from torch import Tensor

from robust3d.training.classification import Classification


class AdversarialTraining(Classification):
    """Every image is attacked against the network as it is at this step."""

    def examples(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The attacked images."""
        return self.attack(images, labels, generator)

    def score(self, validation: dict[str, float]) -> float:
        """Accuracy on attacked images."""
        return validation["pgd_accuracy"]
