"""Autoencoder and variational autoencoder around any encoder (lightning-bolts; Geon3D section 7)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust3d.models.encoder import Encoder, seeded_initialisation

UPSCALE = 32  # of the decoder: the factor by which torchvision's ResNets downscale
SEED_GRID = 4  # the latent becomes a 4 x 4 grid for any image size


class DecoderBlock(nn.Module):
    """A mirrored basic block: 3x3, then nearest x2 (if it upscales) and 3x3, added to a 1x1 skip."""

    def __init__(self, channels: int, out_channels: int, upscale: int = 1) -> None:
        super().__init__()

        def up() -> list[nn.Module]:
            return [nn.Upsample(scale_factor=upscale)] if upscale > 1 else []

        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            *up(),
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.skip = (
            nn.Sequential(*up(), nn.Conv2d(channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
            if upscale > 1 or channels != out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) to (B, out_channels, h * upscale, w * upscale)."""
        return torch.relu(self.main(x) + self.skip(x))


class Decoder(nn.Module):
    """Latents to images, the mirror of ResNet-18; linear output.

    As in the reference, the latent's 4 x 4 map is resized by nearest neighbour to image / 32: at 64 px its
    2 x 2 cells keep a quarter of the first layer's outputs, at 32 px the single cell keeps a sixteenth, and
    the rest of that layer stays at its initial value. From 128 px on the whole layer is used.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent_dim, 512 * SEED_GRID**2)
        stages: list[nn.Module] = []
        for channels, out_channels in ((512, 256), (256, 128), (128, 64), (64, 64)):
            stages += [
                DecoderBlock(channels, out_channels, upscale=2),
                DecoderBlock(out_channels, out_channels),
            ]
        self.stages = nn.Sequential(*stages)
        self.output = nn.Conv2d(64, 3, 3, padding=1, bias=False)

    def forward(self, latent: Tensor, size_px: int) -> Tensor:
        """(B, latent_dim) to (B, 3, size_px, size_px); the size is a multiple of 32."""
        if size_px % UPSCALE:
            raise ValueError(f"the decoder makes images whose side is a multiple of {UPSCALE} px, not {size_px}")
        x = self.linear(latent).view(-1, 512, SEED_GRID, SEED_GRID)
        x = self.stages(F.interpolate(x, size=size_px // UPSCALE))
        return self.output(F.interpolate(x, scale_factor=2.0))


class Autoencoder(nn.Module):
    """Image to latent to image.

    Args:
        encoder: its pooled feature is projected to the latent.
        latent_dim: reference 256.
        seed: of the projection's and the decoder's initial weights.
    """

    def __init__(self, encoder: Encoder, latent_dim: int = 256, seed: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        with seeded_initialisation(seed, "autoencoder"):
            self.to_latent = nn.Linear(encoder.feature_dim, latent_dim)
            self.decoder = Decoder(latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, H) in [0, 1] to the decoder's output of the same shape."""
        return self.decoder(self.to_latent(self.encoder(images)), images.shape[-1])


class VariationalAutoencoder(nn.Module):
    """Image to a normal distribution over latents to image; arguments as in `Autoencoder`."""

    def __init__(self, encoder: Encoder, latent_dim: int = 256, seed: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        with seeded_initialisation(seed, "autoencoder"):
            self.to_mean = nn.Linear(encoder.feature_dim, latent_dim)
            self.to_log_variance = nn.Linear(encoder.feature_dim, latent_dim)
            self.decoder = Decoder(latent_dim)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (B, latent_dim), for images (B, 3, H, H) in [0, 1]."""
        features = self.encoder(images)
        return self.to_mean(features), self.to_log_variance(features)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruction from the posterior's mean: deterministic, unlike the reference's forward."""
        return self.decoder(self.to_mean(self.encoder(images)), images.shape[-1])

    def sample(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Reconstruction from one reparameterised sample per image, and the mean KL divergence (a scalar)."""
        mean, log_variance = self.posterior(images)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        latent = mean + torch.exp(0.5 * log_variance) * noise
        return self.decoder(latent, images.shape[-1]), kl_divergence(mean, log_variance).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) per element, closed form."""
    return 0.5 * (mean.square() + torch.exp(log_variance) - 1 - log_variance)
