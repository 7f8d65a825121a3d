"""A network cut in two after one of its layers, and networks in which a channel of a layer is zero."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn

from robust3d.errors import UserError
from robust3d.models.architecture import Architecture


class _UpTo(fx.Tracer):
    """Follows a network into its modules; one layer stays one step, and so do modules that have none inside."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = layer

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Whether a module is one step."""
        return name == self.layer or not any(module.children()) or super().is_leaf_module(module, name)


def halves(network: nn.Module, layer: str) -> tuple[nn.Module, nn.Module] | None:
    """A network as two, which share its weights: up to a layer, and all that follows.

    The second takes what the first gives, a tuple: the layer's output, and whatever else is needed after it (where the
    layer lies on one of several branches). Both run the network's own operations, so together they give the same bits.

    Args:
        network: in eval mode.
        layer: dotted name of a module.

    Returns:
        None where a network cannot be cut: its steps depend on values, or it uses the layer several times.
    """
    try:
        graph = _UpTo(layer).trace(network)
    except Exception:  # a tracer meets the network's own code, which may do anything
        return None
    nodes = list(graph.nodes)
    found = [node for node in nodes if node.op == "call_module" and node.target == layer]
    if len(found) != 1:
        return None
    after: set[fx.Node] = set()
    for node in nodes:
        if node is found[0] or after.intersection(node.all_input_nodes):
            after.add(node)
    later = [node for node in nodes if node in after and node is not found[0]]
    needed = dict.fromkeys(n for node in later for n in node.all_input_nodes if n not in after and n.op != "get_attr")
    earlier = [node for node in nodes if node not in after] + found
    return _part(network, earlier, [], [*found, *needed]), _part(network, later, [*found, *needed], None)


def _part(
    network: nn.Module, steps: Sequence[fx.Node], given: Sequence[fx.Node], results: list[fx.Node] | None
) -> nn.Module:
    """Some steps of a network; `given` are handed in as one tuple, `results` come out as one."""
    graph = fx.Graph()
    copies: dict[fx.Node, Any] = {}
    if given:
        handed = graph.placeholder("handed")
        for place, node in enumerate(given):
            copies[node] = graph.call_function(lambda values, place: values[place], (handed, place))

    def copy_of(node: fx.Node) -> Any:
        if node not in copies:  # a constant of the network, read where it is used
            copies[node] = graph.node_copy(node, copy_of)
        return copies[node]

    for node in steps:
        copies[node] = graph.node_copy(node, copy_of)
    if results is not None:
        graph.output(tuple(copies[node] for node in results))
    return fx.GraphModule(network, graph)


@contextmanager
def zeroed(network: nn.Module, layer: str, channel: int) -> Iterator[None]:
    """Inside, a channel of a layer's output is zero whenever the network runs."""

    def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return without(output, channel)

    handle = network.get_submodule(layer).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def without(output: Tensor, channel: int) -> Tensor:
    """A copy of a layer's output (B, C, ...) in which a channel is zero."""
    changed = output.clone()
    changed[:, channel] = 0
    return changed


def channels_of(
    architecture: Architecture, network: nn.Module, images: Tensor, wanted: Sequence[str] = (), maps: bool = True
) -> dict[str, int]:
    """How many channels the layers of a network have, by name, in the order in which they run.

    Args:
        architecture: of the network.
        network: or a trunk.
        images: a few, normalised.
        wanted: names of layers; none: all whose outputs are maps (B, C, H, W) of more than a pixel.
        maps: whether a wanted layer has to give maps; otherwise features (B, C) will do.

    Raises:
        UserError: the network has no such layer, or a wanted one gives something else.
    """
    if repeated := [layer for layer in wanted if wanted.count(layer) > 1]:
        raise UserError(f"layers: {repeated[0]!r} is named more than once; name it once")
    layers = [layer for layer in architecture.layers if layer in wanted] if wanted else architecture.layers
    unknown = [layer for layer in wanted if layer not in architecture.layers]
    outputs = architecture.outputs(network, images[:2], unknown or layers)
    if not wanted:
        outputs = {name: value for name, value in outputs.items() if value.ndim == 4 and value[0, 0].numel() > 1}
    for name, value in outputs.items():
        if value.ndim != 4 and (maps or value.ndim != 2):
            raise UserError(
                f"layers: {name} of {architecture.name} gives an output of shape {tuple(value.shape)}, not maps of "
                "channels (B, C, H, W); choose another layer"
            )
    if not outputs:
        raise UserError(f"layers: {architecture.name} has no layer that gives maps of more than a pixel here")
    return {name: value.shape[1] for name, value in outputs.items()}


def is_exact(parts: tuple[nn.Module, nn.Module], network: nn.Module, images: Tensor) -> bool:
    """Whether the two halves give what the network gives: its bits, or on a GPU its values up to rounding."""
    with torch.no_grad():
        whole, cut = network(images), parts[1](parts[0](images))
    return torch.equal(whole, cut) if whole.device.type == "cpu" else torch.allclose(whole, cut, rtol=1e-4, atol=1e-4)
