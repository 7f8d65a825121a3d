"""Supervised classification as a pre-training task: a linear head on random views or other labelled images."""

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust3d.data.images import ImageData
from robust3d.data.multiview import Multiview
from robust3d.errors import UserError
from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.pretraining.supervised.params import Params
from robust3d.seeds import torch_generator
from robust3d.training.augmentation import windows
from robust3d.training.draws import integers
from robust3d.training.loop import Pretraining

CHUNK = 256  # images per call in validation; affects memory only
SHOWN = 200  # at most so many training images of a class make its mean picture


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


class SupervisedPretraining(Pretraining):
    """Trains encoder and head to classify images.

    Args:
        params: of the method.
        encoder: trained in place.
        train: training images, or views, each with the class of its object.
        held_out: of other instances, for validation.
        seed: of the head's weights and of the validation images.
        device: of module and data.

    Raises:
        UserError: the images are smaller than the windows.
    """

    def __init__(
        self,
        params: Params,
        encoder: Encoder,
        train: Multiview | ImageData,
        held_out: Multiview | ImageData,
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.params, self.encoder, self.seed = params, encoder, seed
        self.device = torch.device(device)
        self.images, self.others = (_labelled(data.to(device)) for data in (train, held_out))
        side, crop = self.images.resolution_px, params.crop_px
        if crop is not None and crop > side:
            raise UserError(f"crop_px: {crop} px of images of {side} px; crop less, or make the images larger")
        self.images_per_step = params.batch
        self.classes = len(self.images.classes) or int(self.images.labels.max()) + 1
        self.module = LinearProbe(encoder, self.classes, seed).to(device)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy over a batch of images drawn with replacement, as the autoencoder draws them."""
        images, labels = self.draw(generator)
        images = self._shown(images, generator)
        if self.params.flip:
            flipped = integers(2, (len(images), 1, 1, 1), generator, self.device) > 0
            images = torch.where(flipped, images.flip(3), images)
        entropy = F.cross_entropy(self.module(images).float(), labels)
        return entropy, {"cross_entropy": entropy.detach()}

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], (batch, 3, H, W), and their labels (batch,)."""
        chosen = integers(len(self.images), (self.params.batch,), generator, self.device)
        return self.images.batch(chosen) / 255, self.images.labels[chosen]

    def validate(self) -> dict[str, float]:
        """Held-out cross-entropy and accuracy, both also for guessing, and the share of the commonest prediction."""
        images, labels = self._validation_images
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
        images = self._validation_images[0][:n]
        with self.in_eval_mode():
            answers = self._logits(images).argmax(1).tolist()
        means = {label: self._mean_picture(label) for label in set(answers)}
        ours = torch.stack([means[label] for label in answers])
        return images.movedim(1, -1).cpu().numpy(), ours.movedim(1, -1).cpu().numpy()

    def _mean_picture(self, label: int) -> Tensor:
        images = self.images.batch((self.images.labels == label).nonzero()[:SHOWN, 0])
        return (images.sum(0, dtype=torch.float64) / len(images)).round().to(torch.uint8)

    def _logits(self, images: Tensor) -> Tensor:
        return torch.cat([self.module(self._shown(chunk) / 255).float() for chunk in images.split(CHUNK)])

    def _shown(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return images if self.params.crop_px is None else windows(images, self.params.crop_px, generator)

    @cached_property
    def _validation_images(self) -> tuple[Tensor, Tensor]:
        """Random held-out images, uint8 (N, 3, H, W), and their labels, deterministic."""
        generator = torch_generator(self.seed, "supervised", "validation")
        chosen = torch.randperm(len(self.others), generator=generator)[: self.params.validation_images]
        return self.others.batch(chosen), self.others.labels[chosen.to(self.device)]


def _labelled(data: Multiview | ImageData) -> ImageData:
    """All images; of views all views (O * V), each with the class of its object."""
    if isinstance(data, ImageData):
        return data
    return ImageData.of(data.inputs.flatten(0, 1), data.class_index.repeat_interleave(data.inputs.shape[1]))
