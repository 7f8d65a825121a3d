"""The image encoder of all pre-trainings: normalisation, then the trunk of any architecture."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.normalisation import STATISTICS, Normalisation
from robust3d.models.tokens import Tokens
from robust3d.seeds import seed_of


@contextmanager
def seeded_initialisation(*parts: str | int) -> Iterator[None]:
    """Context: new modules get weights that depend on ``seed_of(*parts)`` only; restores the global random state.

    torch's layers can only be initialised from the global CPU generator.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*parts))
        yield


class Normalise(nn.Module):
    """Channel-wise (x - mean) / std of images in [0, 1]; its constants are not in the state dict."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        mean, std = STATISTICS[normalisation]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to the same shape, normalised."""
        return (images - self.mean) / self.std


class Encoder(nn.Module):
    """Images in [0, 1] to a pooled feature or to the maps of all levels; its weights are random.

    Args:
        architecture: of `trunk`, whose state dict has the network's keys without the head's.
        normalisation: a key of `STATISTICS`.
        seed: of the weights, drawn by the network's own initialisation.
    """

    def __init__(self, architecture: Architecture, normalisation: Normalisation = "imagenet", seed: int = 0) -> None:
        super().__init__()
        self.architecture, self.normalisation = architecture, normalisation
        self.feature_dim = architecture.feature_dim
        self.normalise = Normalise(normalisation)
        with seeded_initialisation(seed, architecture.name):
            self.trunk = architecture.trunk()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, feature_dim).

        Raises:
            UserError: the architecture does not accept images of this size.
        """
        self.architecture.check_size(min(images.shape[-2:]), "the encoder's images")
        return self.trunk(self.normalise(images))

    def feature_maps(self, images: Tensor, levels: int = 5, use_first_pool: bool = True) -> list[Tensor]:
        """Maps of decreasing size, `levels` of them, of images (B, 3, H, W) in [0, 1].

        Args:
            images: inputs.
            levels: how many maps; later layers are not run, so they get neither gradient nor batch
                statistics (pixelNeRF runs 4).
            use_first_pool: False drops the first max-pool, as pixelNeRF does at 64 px.

        Raises:
            UserError: the architecture has no such maps.
        """
        architecture = self.architecture
        if architecture.maps is None or levels > len(architecture.channels):
            has = f"{len(architecture.channels)} of them" if architecture.maps else "none"
            raise UserError(f"architecture: {levels} feature maps are asked for, and {architecture.name} has {has}")
        return architecture.maps(self.trunk, self.normalise(images), levels, use_first_pool)

    def tokens(self, images: Tensor) -> Tokens:
        """Tokens and class token of images (B, 3, H, W) in [0, 1], whatever the kind of network.

        Raises:
            UserError: the architecture has no tokens, or does not accept images of this size.
        """
        architecture = self.architecture
        if architecture.tokens is None:
            raise UserError(f"architecture: {architecture.name} has neither tokens nor a feature pyramid; take another")
        architecture.check_size(min(images.shape[-2:]), "the encoder's images")
        return architecture.tokens(self.trunk, self.normalise(images))
