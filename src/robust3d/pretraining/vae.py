"""The 2D variational autoencoder as a pre-training: its parameters and how its task is made.

Defaults are those of lightning-bolts' `VAE` with torchvision's ResNet-18 stem and the closed-form divergence.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from robust3d.pretraining import ae

if TYPE_CHECKING:
    import torch

    from robust3d.data.multiview import Multiview
    from robust3d.training.loop import Pretraining


class Params(ae.Params):
    """The autoencoder's parameters and the weight of the divergence."""

    # beside a mean squared error it acts as beta = 0.05 * 3 * side_px^2 / latent_dim: 0.6 at 32, 2.4 at 64 px
    kl_coefficient: float = Field(0.1, ge=0)  # of the mean divergence over batch and latent (reference: 0.1)


def task(
    params: Params, train: "Multiview", held_out: "Multiview", seed: int, device: "torch.device | str"
) -> "Pretraining":
    """The variational autoencoder task with a ResNet-18 encoder on `device`."""
    from robust3d.models.encoder import ResNet18Encoder
    from robust3d.training.autoencoder import VariationalPretraining

    encoder = ResNet18Encoder(params.init, params.weights, params.normalisation, seed)
    return VariationalPretraining(params, encoder, train, held_out, seed, device)
