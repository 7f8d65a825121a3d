"""The network of Table 1, the score that synthesis ascends, and the gradient penalty."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from robust3d.models.encoder import seeded_initialisation
from robust3d.models.introspective.convolution import Convolution
from robust3d.models.introspective.params import NetworkParams


class IntrospectiveNetwork(nn.Module):
    """Five convolutions with layer norms, leaky ReLUs and average pools, and a linear layer (3DWINN, Table 1).

    Args:
        params: resolution, width, critic.
        outputs: classes; 1: unsupervised, the output is the score.
        seed: of the weights.
    """

    def __init__(self, params: NetworkParams, outputs: int, seed: int = 0) -> None:
        super().__init__()
        self.params, self.outputs = params, outputs
        channels = params.channels
        with seeded_initialisation(seed, "introspective"):
            self.convolutions = nn.ModuleList(
                Convolution(before, after) for before, after in zip((1, *channels), channels)
            )
            self.norms = nn.ModuleList(_layer_norm(params, count) for count in channels)
            self.head = nn.Linear(params.features, outputs)
            inputs = {"output": params.features, "linear": outputs}.get(params.critic if outputs > 1 else "class_logit")
            self.critic = nn.Linear(inputs, 1) if inputs else None

    def features(self, volumes: Tensor) -> Tensor:
        """The last convolution's map after its pool (N, F) of normalised volumes (N, 1, R, R, R)."""
        maps = volumes
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            maps = functional.leaky_relu(norm(convolution(maps)), self.params.slope)
            if number:  # no pool after the first
                maps = functional.avg_pool3d(maps, 2)
        return maps.flatten(1)

    def forward(self, volumes: Tensor) -> Tensor:
        """Logits (N, K) of normalised volumes (N, 1, R, R, R)."""
        return self.head(self.features(volumes))

    def score(self, volumes: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The score f (N,) of volumes (N, 1, R, R, R) and their logits (N, K).

        Args:
            volumes: normalised.
            labels: (N,) classes; needed where the score is the logit of the class.
        """
        features = self.features(volumes)
        logits = self.head(features)
        if self.outputs == 1:
            return logits[:, 0], logits
        if self.critic is None:
            assert labels is not None, "the score is the logit of the class"
            return logits.gather(1, labels[:, None])[:, 0], logits
        seen = features if self.params.critic == "output" else logits
        return self.critic(seen)[:, 0], logits


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each voxel of (N, C, D, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Same shape, normalised."""
        return self.norm(maps.movedim(1, -1)).movedim(-1, 1)


def _layer_norm(params: NetworkParams, channels: int) -> nn.Module:
    return nn.GroupNorm(1, channels) if params.layer_norm == "volume" else ChannelNorm(channels)


class VoxelClassifier(nn.Module):
    """The network on voxels in [0, 1]: subtracts a fixed mean, so that an answer does not depend on the batch.

    Args:
        network: the network.
        mean: scalar, or (1, R, R, R).
    """

    mean: Tensor

    def __init__(self, network: IntrospectiveNetwork, mean: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.detach().clone())

    def forward(self, volumes: Tensor) -> Tensor:
        """Logits (N, K) of volumes (N, 1, R, R, R), or of "images" (N, R, R, R) as attacks on images have them."""
        if volumes.ndim == 4:
            volumes = volumes[:, None]
        return self.network(volumes - self.mean)

    def features(self, volumes: Tensor) -> Tensor:
        """Features (N, F) of volumes (N, 1, R, R, R)."""
        return self.network.features(volumes - self.mean)

    def score(self, volumes: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Score (N,) and logits (N, K) of volumes (N, 1, R, R, R)."""
        return self.network.score(volumes - self.mean, labels)


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Mean of (|grad f| - 1)^2 between pairs of real and fake volumes (Eq. 3; Gulrajani et al. 2017).

    Args:
        score: f (N,) of volumes.
        real: (N, …) volumes.
        fake: (N, …) their partners.
        share: (N,) of the real volume, in [0, 1].

    Returns:
        The penalty, differentiable with respect to what `score` depends on.
    """
    share = share.reshape(-1, *(1,) * (real.ndim - 1))
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
