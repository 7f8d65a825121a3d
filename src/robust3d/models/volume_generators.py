"""Networks between latents and volumes (3D-GAN, Wu et al. 2016), at other resolutions and widths."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from robust3d.models.encoder import seeded_initialisation

SEED = 4  # side of the map that a latent becomes, or that becomes a latent
LAST = 64  # channels beside the volume, at width 1


def channels(resolution: int, width: float) -> list[int]:
    """Channels of the maps of sides 4, 8, … half the resolution: at 64³ 512, 256, 128, 64 as published.

    At smaller resolutions the layers next to the volume are the published ones.
    """
    count = round(math.log2(resolution / SEED))
    return [max(1, round(width * LAST * 2**level)) for level in reversed(range(count))]


class VolumeGenerator(nn.Module):
    """Latents to volumes: transposed convolutions of size 4 with batch norms and ReLUs, a sigmoid at the end.

    Args:
        resolution: side R of the volumes, a power of two.
        width: share of the published channels.
        latent: length of the latent L.
        seed: of the weights.
    """

    def __init__(self, resolution: int, width: float, latent: int, seed: int = 0) -> None:
        super().__init__()
        counts = channels(resolution, width)
        with seeded_initialisation(seed, "generator"):
            layers: list[nn.Module] = [nn.ConvTranspose3d(latent, counts[0], SEED, bias=False)]
            for before, after in pairwise([*counts, 1]):
                layers += [nn.BatchNorm3d(before), nn.ReLU()]
                layers.append(nn.ConvTranspose3d(before, after, 4, stride=2, padding=1, bias=after == 1))
        self.layers = nn.Sequential(*layers)

    def logits(self, latents: Tensor) -> Tensor:
        """What the sigmoid gets (N, 1, R, R, R) for latents (N, L)."""
        return self.layers(latents[:, :, None, None, None])

    def forward(self, latents: Tensor) -> Tensor:
        """Probability (N, 1, R, R, R) of each voxel to be filled, for latents (N, L)."""
        return self.logits(latents).sigmoid()


class VolumeEncoder(nn.Module):
    """The mirror of `VolumeGenerator`: convolutions with batch norms and leaky ReLUs, linear at the end.

    Args:
        resolution: side R of the volumes, a power of two.
        width: share of the published channels.
        outputs: 1 for a discriminator.
        seed: of the weights.
    """

    def __init__(self, resolution: int, width: float, outputs: int, seed: int = 0) -> None:
        super().__init__()
        counts = [1, *reversed(channels(resolution, width))]
        with seeded_initialisation(seed, "encoder"):
            layers: list[nn.Module] = []
            for before, after in pairwise(counts):
                layers.append(nn.Conv3d(before, after, 4, stride=2, padding=1, bias=False))
                layers += [nn.BatchNorm3d(after), nn.LeakyReLU(0.2)]
            layers.append(nn.Conv3d(counts[-1], outputs, SEED))
        self.layers = nn.Sequential(*layers)

    def forward(self, volumes: Tensor) -> Tensor:
        """Outputs (N, O) of volumes (N, 1, R, R, R) in [0, 1]."""
        return self.layers(volumes).flatten(1)


@torch.no_grad()
def sample(generator: VolumeGenerator, latents: Tensor, threshold: float, batch: int = 64) -> Tensor:
    """Volumes (N, R, R, R), bool on the CPU, of latents (N, L): filled where the probability is above the threshold.

    The generator is put into eval mode, so that a volume depends on its own latent alone.
    """
    generator.eval()
    return torch.cat([(generator(part)[:, 0] > threshold).cpu() for part in latents.split(batch)])
