"""The 2D variational autoencoder as a pre-training: its parameters.

Defaults are those of lightning-bolts' `VAE` with the closed-form divergence.
"""

from pydantic import Field

from robust3d.pretraining.ae.params import Params as AutoencoderParams


class Params(AutoencoderParams):
    """The autoencoder's parameters and the weight of the divergence."""

    # with a mean squared error it acts as beta = 0.05 * 3 * side_px^2 / latent_dim: 0.6 at 32, 2.4 at 64 px
    kl_coefficient: float = Field(0.1, ge=0)  # of the mean divergence over batch and latent (reference: 0.1)
