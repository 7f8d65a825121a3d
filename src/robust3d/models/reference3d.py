"""The reference classifier of volumes: 3D-NIN-FC of Qi et al. (2016), whose features and probabilities judge samples.

Three blocks of a convolution with two of size 1 behind it, each with batch norm and ReLU; then two linear layers.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

INSIDE, PADDING = 24, 3  # the network's own grid: 24³ within 30³ (Wu et al. 2015)


class Reference3D(nn.Module):
    """Volumes of any size to class logits.

    Args:
        classes: their number K.
        width: share of the published number of channels (48, 96, 512; 512 in the linear layer).

    Attributes:
        feature_dim: D of `features`: 4,096 at width 1.
    """

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, second, third = (max(1, round(width * channels)) for channels in (48, 96, 512))
        self.blocks = nn.Sequential(_block(1, first, 6), _block(first, second, 5), _block(second, third, 3))
        self.feature_dim = third * 2**3
        self.hidden = nn.Sequential(nn.Linear(self.feature_dim, third), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(third, classes)

    def forward(self, volumes: Tensor) -> Tensor:
        """Logits (N, K) of volumes (N, 1, R, R, R), filled above 0.5."""
        return self.head(self.hidden(self.features(volumes)))

    def features(self, volumes: Tensor) -> Tensor:
        """The last convolution's activations (N, D), by which FID and nearest neighbours are computed."""
        return self.blocks(fitted(volumes)).flatten(1)


def _block(inputs: int, outputs: int, size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, kernel, stride in ((inputs, size, 2), (outputs, 1, 1), (outputs, 1, 1)):
        layers += [nn.Conv3d(channels, outputs, kernel, stride), nn.BatchNorm3d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(0.2))


def fitted(volumes: Tensor) -> Tensor:
    """Volumes (N, 1, R, R, R) as 0 and 1 in the network's grid, (N, 1, 30, 30, 30).

    A voxel of the 24³ in the middle is filled if it overlaps a filled one: an interpolation that is cut at one half
    would lose bars of one voxel.
    """
    filled = (volumes > 0.5).to(volumes.dtype if volumes.is_floating_point() else torch.float32)
    return functional.pad(functional.adaptive_max_pool3d(filled, INSIDE), (PADDING,) * 6)


@torch.no_grad()
def describe(network: Reference3D, batches: Iterable[Tensor]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (N, D) and probabilities (N, K) of batches of volumes; the network is put into eval mode.

    Args:
        network: on any device.
        batches: each (n, 1, R, R, R), filled above 0.5.
    """
    network.eval()
    device = next(network.parameters()).device
    found: list[tuple[Tensor, Tensor]] = []
    for volumes in batches:
        features = network.features(volumes.to(device).float())
        found.append((features.cpu(), network.head(network.hidden(features)).double().softmax(1).cpu()))
    columns = [torch.cat(parts).double().numpy() for parts in zip(*found, strict=True)]
    return columns[0], columns[1]
