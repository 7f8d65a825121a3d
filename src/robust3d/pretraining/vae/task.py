"""The variational autoencoder's pre-training task: the autoencoder's, with a posterior over latents."""

import torch
import torch.nn.functional as F
from torch import Tensor

from robust3d.models.autoencoder import VariationalAutoencoder, kl_divergence
from robust3d.pretraining.ae.task import CHUNK, AutoencoderPretraining
from robust3d.pretraining.vae.params import Params

COLLAPSED_KL = 0.01  # mean divergence per latent below which the posterior is the prior


class VariationalPretraining(AutoencoderPretraining):
    """The autoencoder with a posterior over latents: a sample in training, the mean in evaluation."""

    params: Params
    module: VariationalAutoencoder

    def build(self) -> VariationalAutoencoder:
        """The model around the encoder."""
        return VariationalAutoencoder(self.encoder, self.params.latent_dim, self.seed)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error from one posterior sample per image, plus the weighted mean divergence."""
        inputs, targets = self.draw(generator)
        decoded, kl = self.module.sample(inputs, generator)
        mse = F.mse_loss(decoded.float(), targets)
        return mse + self.params.kl_coefficient * kl, {"mse": mse.detach(), "kl": kl.detach()}

    def validate(self) -> dict[str, float]:
        """The autoencoder's metrics, and `kl`: the mean divergence per latent on the held-out views."""
        inputs, _ = self.validation_views()
        posteriors = [self.module.posterior(chunk / 255) for chunk in inputs.split(CHUNK)]
        kl = torch.cat([kl_divergence(mean, log_variance) for mean, log_variance in posteriors])
        return super().validate() | {"kl": float(kl.mean())}

    def collapse(self, validation: dict[str, float]) -> str | None:
        """Collapsed also when the posterior is the prior for every image."""
        if validation["kl"] < COLLAPSED_KL:
            kl = f"{validation['kl']:.2g}"
            return f"the posterior has collapsed to the prior: mean divergence {kl} per latent"
        return super().collapse(validation)
