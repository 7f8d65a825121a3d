"""Supervised classification as a pre-training task: a linear head on random views of random objects."""

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust3d.data.multiview import Multiview
from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.pretraining.supervised.params import Params
from robust3d.seeds import torch_generator
from robust3d.training.draws import integers
from robust3d.training.views import ViewPretraining

CHUNK = 256  # images per call in validation; affects memory only


class LinearProbe(nn.Module):
    """Encoder and head: images in [0, 1] to logits.

    Args:
        encoder: trained in place; the output.
        classes: columns of the logits.
        seed: of the head's weights.
    """

    def __init__(self, encoder: Encoder, classes: int, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        with seeded_initialisation(seed, "supervised head"):
            self.head = nn.Linear(encoder.feature_dim, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, classes)."""
        return self.head(self.encoder(images))


class SupervisedPretraining(ViewPretraining):
    """Trains encoder and head to classify random views.

    Args:
        params: of the method.
        encoder: trained in place.
        train: training views.
        held_out: views of other instances, for validation.
        seed: of the head's weights and of the validation views.
        device: of module and data.
    """

    params: Params

    def build(self) -> LinearProbe:
        """The head on the encoder."""
        self.classes = int(self.train.class_index.max()) + 1
        return LinearProbe(self.encoder, self.classes, self.seed)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy over a batch of views drawn with replacement, as the autoencoder draws them."""
        images, labels = self.draw(generator)
        entropy = F.cross_entropy(self.module(images).float(), labels)
        return entropy, {"cross_entropy": entropy.detach()}

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], (batch, 3, H, W), and their labels (batch,)."""
        inputs, labels = _views(self.train)
        chosen = integers(len(inputs), (self.params.batch,), generator, self.device)
        return inputs[chosen] / 255, labels[chosen]

    def validate(self) -> dict[str, float]:
        """Held-out cross-entropy and accuracy, both also for guessing, and the share of the commonest prediction."""
        images, labels = self._validation_views
        logits = self._logits(images)
        answers = torch.bincount(logits.argmax(1), minlength=self.classes)
        return {
            "cross_entropy": float(F.cross_entropy(logits, labels)),
            "cross_entropy_baseline": float(np.log(self.classes)),
            "accuracy": float((logits.argmax(1) == labels).float().mean()),
            "accuracy_baseline": 1 / self.classes,
            "commonest_answer": float(answers.max() / len(labels)),
        }

    def collapse(self, validation: dict[str, float]) -> str | None:
        """Collapsed when every held-out image is given the same class."""
        if validation["commonest_answer"] == 1 and self.classes > 1:
            return "the head has collapsed to one class: every held-out image is given the same"
        return None

    def score(self, validation: dict[str, float]) -> float:
        """Minus the held-out cross-entropy."""
        return -validation["cross_entropy"]

    def reconstructions(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Held-out images, and for each the mean training image of its predicted class."""
        images = self._validation_views[0][:n]
        with self.in_eval_mode():
            answers = self._logits(images).argmax(1)
        inputs, labels = _views(self.train)
        classes = (inputs[labels == label] for label in range(self.classes))
        means = torch.stack([views.sum(0, dtype=torch.float64) / len(views) for views in classes])
        ours = means[answers].round().to(torch.uint8)
        return images.movedim(1, -1).cpu().numpy(), ours.movedim(1, -1).cpu().numpy()

    def _logits(self, images: Tensor) -> Tensor:
        return torch.cat([self.module(chunk / 255).float() for chunk in images.split(CHUNK)])

    @cached_property
    def _validation_views(self) -> tuple[Tensor, Tensor]:
        """Images, uint8 (N, 3, H, W), and labels of random held-out views, deterministic."""
        inputs, labels = _views(self.held_out)
        generator = torch_generator(self.seed, "supervised", "validation")
        chosen = torch.randperm(len(inputs), generator=generator)[: self.params.validation_images].to(self.device)
        return inputs[chosen], labels[chosen]


def _views(data: Multiview) -> tuple[Tensor, Tensor]:
    """All views, uint8 (O * V, 3, H, W), and the label of each (O * V,)."""
    return data.inputs.flatten(0, 1), data.class_index.repeat_interleave(data.inputs.shape[1])
