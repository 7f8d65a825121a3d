"""Training on clean and adversarial images together, each through its own batch norms."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import batch_norms
from robust3d.models.classifier import Classifier
from robust3d.training.classification import Classification
from robust3d.training.metrics import accuracy
from robust3d.training.params import ClassifierParams


class TwoNorms(nn.Module):
    """A classifier and its auxiliary twin, which shares every tensor but those of the batch norms.

    Attributes:
        clean: the classifier, for clean images; it is what is handed on and tested.
        auxiliary: the twin, for adversarial images.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.clean = classifier
        self.auxiliary = copy.deepcopy(classifier)
        for name, module in self.auxiliary.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                continue
            own = classifier.get_submodule(name)
            module._parameters.update(own._parameters)
            module._buffers.update(own._buffers)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of clean images."""
        logits: Tensor = self.clean(images)
        return logits


class AdvProp(Classification):
    """The mean of the cross-entropies of clean images and of adversarial ones.

    Xie et al. write the sum, which is the same at twice the learning rate. The attack goes against the auxiliary twin,
    as in their algorithm 1; validation attacks the classifier that is handed on.
    """

    def __init__(
        self, classifier: Classifier, images: ImageData, held_out: ImageData, params: ClassifierParams
    ) -> None:
        if not batch_norms(classifier):
            name = classifier.architecture.name
            raise UserError(f"objective: advprop keeps two sets of batch norms, but {name} has none; choose pgd")
        super().__init__(classifier, images, held_out, params)
        self.module = self.norms = TwoNorms(self.classifier)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Of one batch of clean images and the same images attacked."""
        images, labels = self.clean_batch(step, generator)
        adversarial = self.attack(images, labels, generator, self.norms.auxiliary)
        clean, attacked = self.norms.clean(images), self.norms.auxiliary(adversarial)
        loss = (functional.cross_entropy(clean, labels) + functional.cross_entropy(attacked, labels)) / 2
        right = {"accuracy": clean, "attacked_accuracy": attacked}
        return loss, {name: (logits.detach().argmax(1) == labels).double().mean() for name, logits in right.items()}

    def validate(self) -> dict[str, float]:
        """As every training, and the same for the auxiliary batch norms."""
        found = super().validate()
        for name, logits in zip(("accuracy", "pgd_accuracy"), self.held_out_logits(self.norms.auxiliary), strict=True):
            found[f"auxiliary_{name}"] = accuracy(logits, self.held_out.labels)
        return found
