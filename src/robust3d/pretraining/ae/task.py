"""The autoencoder's pre-training task: random views in, the same views out, judged by the training mean image.

A reconstruction has its view's target background, so an input background that differs makes it denoising.
"""

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robust3d.errors import UserError
from robust3d.models.autoencoder import UPSCALE, Autoencoder, VariationalAutoencoder
from robust3d.pretraining.ae.params import Params
from robust3d.seeds import torch_generator
from robust3d.training.draws import integers
from robust3d.training.metrics import deviation, one_image
from robust3d.training.views import ViewPretraining

CHUNK = 256  # images at once in validation; memory only


class AutoencoderPretraining(ViewPretraining):
    """Trains encoder and decoder to reconstruct random views of random objects.

    Args:
        params: of the method.
        encoder: its encoder.
        train: views trained on.
        held_out: views of other instances, for validation and reconstructions.
        seed: of the weights of everything but the encoder, and of the validation's views.
        device: where all of it goes.

    Raises:
        UserError: images whose side is no multiple of 32 px.
    """

    params: Params
    module: Autoencoder | VariationalAutoencoder

    def check_views(self) -> None:
        """Refuse views that the decoder cannot give."""
        height, width = self.train.inputs.shape[-2:]
        if height != width or height % UPSCALE:
            raise UserError(
                f"The autoencoders reconstruct square images whose side is a multiple of {UPSCALE} px. "
                f"These are {width} x {height} px. Set the rendering's resolution_px to 32, 64, 96, 128, ..."
            )

    def build(self) -> Autoencoder | VariationalAutoencoder:
        """The model around the encoder."""
        return Autoencoder(self.encoder, self.params.latent_dim, self.seed)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error over a batch of views drawn with replacement."""
        inputs, targets = self.draw(generator)
        mse = F.mse_loss(self.module(inputs).float(), targets)
        return mse, {"mse": mse.detach()}

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Input images in [0, 1] and the decoder's targets, each (batch, 3, H, W)."""
        inputs, targets = self.train.inputs.flatten(0, 1), self.train.targets.flatten(0, 1)
        chosen = integers(len(inputs), (self.params.batch,), generator, self.device)
        truth = targets[chosen] / 255
        return inputs[chosen] / 255, self.encoder.normalise(truth) if self.params.target == "normalised" else truth

    def reconstruct(self, images: Tensor) -> Tensor:
        """Deterministic reconstructions in image units, not clamped; (B, 3, H, W) uint8 to float."""
        decoded = torch.cat([self.module(chunk / 255).float() for chunk in images.split(CHUNK)])
        normalise = self.encoder.normalise
        return decoded * normalise.std + normalise.mean if self.params.target == "normalised" else decoded

    def validation_views(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets, uint8 (N, 3, H, W), of random held-out views, deterministic."""
        inputs, targets = self.held_out.inputs.flatten(0, 1), self.held_out.targets.flatten(0, 1)
        generator = torch_generator(self.seed, "autoencoder", "validation")
        chosen = torch.randperm(len(inputs), generator=generator)[: self.params.validation_images].to(self.device)
        return inputs[chosen], targets[chosen]

    def validate(self) -> dict[str, float]:
        """Held-out mean squared error in [0, 1] units, that of the mean training image, and `spread`.

        `spread` is the standard deviation of the reconstructions over the images divided by the
        targets': 0 where every input gives the same picture.
        """
        inputs, targets = self.validation_views()
        ours, truth = self.reconstruct(inputs), targets / 255
        return {
            "mse": float(F.mse_loss(ours, truth)),
            "mse_baseline": float(F.mse_loss(self._mean_image.expand_as(truth), truth)),
            "spread": deviation(ours) / max(deviation(truth), 1e-12),
        }

    def collapse(self, validation: dict[str, float]) -> str | None:
        """Collapsed when every held-out image has nearly the same reconstruction."""
        return one_image(validation["spread"])

    def score(self, validation: dict[str, float]) -> float:
        """Minus the held-out mean squared error."""
        return -validation["mse"]

    def reconstructions(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Targets and reconstructions of n validation views, each uint8 (n, H, W, 3)."""
        inputs, targets = (views[:n] for views in self.validation_views())
        with self.in_eval_mode():
            ours = self.reconstruct(inputs).clamp(0, 1).mul(255).round().to(torch.uint8)
        return targets.movedim(1, -1).cpu().numpy(), ours.movedim(1, -1).cpu().numpy()

    @cached_property
    def _mean_image(self) -> Tensor:
        """(3, H, W) mean of the training targets, in [0, 1]."""
        targets = self.train.targets.flatten(0, 1)
        total = torch.stack([chunk.double().sum(0) for chunk in targets.split(CHUNK)]).sum(0)
        return (total / len(targets) / 255).float()
