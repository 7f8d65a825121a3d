"""The classifier that is trained, attacked and probed: raw images in, logits out."""

from pathlib import Path

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.encoder import Normalise, seeded_initialisation
from robust3d.models.files import load_state
from robust3d.models.normalisation import Normalisation
from robust3d.models.recognition import classifier_state


class Classifier(nn.Module):
    """Images in [0, 1] to logits; the normalisation is inside, so an attack's ε is in raw pixels.

    `network` is the architecture's network and has all of the state.

    Args:
        architecture: of the network.
        num_classes: columns of the logits.
        normalisation: a key of `STATISTICS`; "imagenet" is the paper's (section 4).
        seed: of the random weights, head and trunk.
    """

    def __init__(
        self, architecture: Architecture, num_classes: int, normalisation: Normalisation = "imagenet", seed: int = 0
    ) -> None:
        super().__init__()
        self.architecture, self.num_classes, self.normalisation = architecture, num_classes, normalisation
        self.normalise = Normalise(normalisation)
        with seeded_initialisation(seed, "classifier"):
            self.network = architecture.network(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to logits (B, num_classes)."""
        return self.network(self.normalise(images))


def load_classifier(
    path: Path, architecture: Architecture, num_classes: int, normalisation: Normalisation
) -> Classifier:
    """A trained classifier in eval mode, from a state dict of its network; its keys may share a prefix.

    Raises:
        UserError: unreadable, or not the weights of this architecture with this number of classes.
    """
    classifier = Classifier(architecture, num_classes, normalisation)
    try:
        classifier.network.load_state_dict(classifier_state(load_state(path), path, architecture)[0])
    except RuntimeError as error:
        raise UserError(f"{path}: not a {architecture.name} with {num_classes} classes: {error}") from None
    return classifier.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]  # the faster layout
