"""Interface of a network: constructor, head, layers and accepted image sizes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.tokens import Tokens

IMAGENET_CLASSES = 1000  # a trunk is initialised as part of a classifier with this many classes
Value = TypeVar("Value")


@dataclass(frozen=True)
class Architecture:
    """A kind of network.

    Attributes:
        name: in the configuration.
        network: builds a classifier with a number of classes, images (B, 3, H, W) to logits (B, classes); its weights
            come from torch's global generator.
        head: dotted name of the last linear layer. A network without it is a trunk and gives features.
        feature_dim: inputs of the head.
        layers: dotted names of modules whose outputs are available, in the order in which they run.
        first: names of the tensors that a change of normalisation folds into: the weights of the only layer that reads
            the images, and its bias or the running mean of the batch norm after it. Empty: it cannot be folded.
        smallest_px: side of the smallest images.
        largest_px: side of the largest images; None: any.
        channels: of the maps that `maps` returns, the largest map first.
        maps: trunk, normalised images, how many maps, whether to keep the first max-pool -> maps (B, C, h, w).
        ignored: name prefixes of tensors in published files that the network does not have.
        tokens: trunk, normalised images -> their `robust3d.models.tokens.Tokens`. None: it has none.
        token_channels: of a patch and of the class token in `tokens`.
        own_names: gives the tensors of a published file, whose names may be others, under the network's own names;
            prefixes and all other names stay. None: they are the same.
    """

    name: str
    network: Callable[[int], nn.Module]
    head: str
    feature_dim: int
    layers: tuple[str, ...] = ()
    first: tuple[str, str] | tuple[()] = ()
    smallest_px: int = 1
    largest_px: int | None = None
    channels: tuple[int, ...] = ()
    maps: Callable[[nn.Module, Tensor, int, bool], list[Tensor]] | None = None
    tokens: Callable[[nn.Module, Tensor], Tokens] | None = None
    token_channels: tuple[int, int] = (0, 0)
    ignored: tuple[str, ...] = ()
    own_names: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None

    def trunk(self) -> nn.Module:
        """The network without its head: images to features (B, feature_dim)."""
        network = self.network(IMAGENET_CLASSES)
        network.set_submodule(self.head, nn.Identity())
        return network

    def without_head(self, state: Mapping[str, Value]) -> dict[str, Value]:
        """The entries of a state dict that belong to the trunk."""
        return {key: value for key, value in state.items() if not key.startswith(f"{self.head}.")}

    def load_trunk(self, network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
        """Load every tensor of a trunk into a trunk or a classifier, which keeps its head.

        Raises:
            UserError: tensors that are missing, unknown or of another shape; names `source`.
        """
        own = network.state_dict()
        head = {key: own[key] for key in own.keys() - self.without_head(own).keys()}
        try:
            network.load_state_dict({**state, **head}, strict=True)
        except RuntimeError as error:
            raise UserError(f"{source} does not hold the trunk of the architecture {self.name}: {error}") from error

    def check_size(self, side_px: int, what: str) -> None:
        """Refuse images of a size that the network does not accept.

        Raises:
            UserError: `what` has that size.
        """
        if self.smallest_px <= side_px <= (self.largest_px or side_px):
            return
        only = self.smallest_px == self.largest_px
        wanted = f"exactly {self.smallest_px}" if only else f"{self.smallest_px} or more"
        raise UserError(
            f"{what}: {side_px} px, but the architecture {self.name} takes images of {wanted} px. Render other sizes, "
            "change the architecture's params, or choose another architecture"
        )

    def outputs(self, network: nn.Module, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Outputs of some layers of a network or trunk for normalised images, without gradients, by name.

        Raises:
            UserError: a layer that is not one of `layers`.
        """
        if unknown := [layer for layer in layers if layer not in self.layers]:
            raise UserError(f"{self.name} has no layer {unknown[0]!r}; it has {', '.join(self.layers)}")
        found: dict[str, Tensor] = {}
        hooks = [
            network.get_submodule(layer).register_forward_hook(
                lambda _, __, output, layer=layer: found.__setitem__(layer, output.detach().clone())
            )
            for layer in layers
        ]
        try:
            with torch.no_grad():
                network(images)
        finally:
            for hook in hooks:
                hook.remove()
        return found


def batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    """All batch norms of a network."""
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


@contextmanager
def measured_statistics(layers: Sequence[nn.BatchNorm2d | nn.BatchNorm3d]) -> Iterator[None]:
    """Within it, batch norms in training mode take the mean over all batches as their statistics, beginning anew."""
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    yield
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
