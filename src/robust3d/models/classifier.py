"""The ResNet-18 classifier that is trained, attacked and probed: raw images in, logits out."""

from pathlib import Path

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.encoder import Normalisation, Normalise, seeded_initialisation
from robust3d.models.files import load_state
from robust3d.models.recognition import as_resnet18


class Classifier(nn.Module):
    """Images in [0, 1] to logits; the normalisation is inside, so an attack's ε is in raw pixels.

    `network` is torchvision's ResNet-18 and carries all of the state.

    Args:
        num_classes: columns of the logits.
        normalisation: "imagenet" (paper section 4) or "half".
        seed: of the random weights, head and trunk.
    """

    def __init__(self, num_classes: int, normalisation: Normalisation = "imagenet", seed: int = 0) -> None:
        from torchvision.models import resnet18  # slow to import, so only where a network is built

        super().__init__()
        self.num_classes, self.normalisation = num_classes, normalisation
        self.normalise = Normalise(normalisation)
        with seeded_initialisation(seed, "classifier"):
            self.network = resnet18(num_classes=num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to logits (B, num_classes)."""
        return self.network(self.normalise(images))


def load_classifier(path: Path, num_classes: int, normalisation: Normalisation) -> Classifier:
    """A trained classifier in eval mode, from a torchvision ResNet-18 state dict, whose keys may share a prefix.

    Raises:
        UserError: unreadable, or not the weights of a ResNet-18 with so many classes.
    """
    classifier = Classifier(num_classes, normalisation)
    try:
        classifier.network.load_state_dict(as_resnet18(load_state(path), path)[0])
    except RuntimeError as error:
        raise UserError(f"{path}: not a torchvision ResNet-18 with {num_classes} classes: {error}") from None
    return classifier.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]  # the faster layout
