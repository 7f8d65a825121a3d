"""Recognises the architecture of a state dict, also if its keys have the prefix of an enclosing module."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.architecture import Architecture

SHOWN = 4  # keys that a message lists
FEWEST = 16  # least number of tensors of a torchvision classifier
CLASSES = 1000  # of torchvision's classifiers; a state dict may have another number
COUNTER = "num_batches_tracked"  # not needed; missing in files of early versions of torch, such as the ImageNet weights


def classifier_state(
    state: Mapping[str, Tensor], path: Path, architecture: Architecture
) -> tuple[dict[str, Tensor], str]:
    """The tensors of a classifier under its network's own keys, and the common prefix that was removed.

    `DataParallel` prefixes every key with ``module.``, a Lightning module with ``model.`` or its attribute's name.

    Raises:
        UserError: other tensors; the message names the torchvision architecture that they fit, if there is one.
    """
    expected = _shapes(lambda: architecture.network(CLASSES))
    state = _wanted(state, architecture)
    if found := _without_prefix(state, expected):
        return found
    raise UserError(f"{path}: {_what_else(state, expected, architecture.name)}")


def trunk_state(state: Mapping[str, Tensor], path: Path, architecture: Architecture) -> tuple[dict[str, Tensor], str]:
    """The tensors of a network without its head, from those of a classifier or of a trunk, and their prefix.

    Raises:
        UserError: as `classifier_state`.
    """
    expected = _shapes(lambda: architecture.network(CLASSES))
    state = _wanted(state, architecture)
    for keys in (expected, architecture.without_head(expected)):
        if found := _without_prefix(state, keys):
            return architecture.without_head(found[0]), found[1]
    raise UserError(f"{path}: {_what_else(state, expected, architecture.name)}")


def _wanted(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """The state under the network's own names, without tensors that the architecture ignores."""
    named = state if architecture.own_names is None else architecture.own_names(state)
    return {
        key: value
        for key, value in named.items()
        if not any(key.startswith(start) or f".{start}" in key for start in architecture.ignored)
    }


def _what_else(state: Mapping[str, Tensor], expected: Iterable[str], architecture: str) -> str:
    """Message: which architecture the tensors fit, or how they differ from the expected ones."""
    prefix = max(
        _prefixes(state, expected), key=lambda it: len({it + name for name in expected} & state.keys()), default=""
    )
    wanted = {prefix + name for name in expected}
    lacks, has = _needed(wanted - state.keys()), state.keys() - wanted
    if len(state) >= FEWEST and len(lacks) + len(has) > 2 * SHOWN:
        for name in _others():
            if fitting := _fits(state, name):
                return f"these are the tensors of torchvision's {fitting}; those of {architecture} are needed"
    return (
        f"these are not the tensors of {architecture}, nor of another classifier of torchvision. "
        f"Missing: {_listed(lacks)}. Too many: {_listed(has)}"
    )


def _without_prefix(state: Mapping[str, Tensor], expected: Iterable[str]) -> tuple[dict[str, Tensor], str] | None:
    """The state under the expected keys, if its keys differ by at most a prefix."""
    for prefix in _prefixes(state, expected):
        if _needed(prefix + name for name in expected) == _needed(state):
            return {name.removeprefix(prefix): value for name, value in state.items()}, prefix
    return None


def _needed(keys: Iterable[str]) -> set[str]:
    return {key for key in keys if key.rpartition(".")[2] != COUNTER}


def _prefixes(state: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Possible prefixes of the expected keys: empty, or words that end with a dot."""
    first = min(expected)
    found = [key.removesuffix(first) for key in state if key.endswith(first)]
    return [prefix for prefix in found if prefix[-1:] in ("", ".")]


def _others() -> Iterator[str]:
    """Names of torchvision's classifiers, the most common first."""
    from torchvision import models  # slow to import, so only for unknown weights

    names = models.list_models(module=models)
    yield from sorted(names, key=lambda name: "resne" not in name)


def _shapes(build: Callable[[], nn.Module]) -> dict[str, torch.Size]:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about changed defaults of random weights, which are not used here
        network = build()
    return {key: value.shape for key, value in network.state_dict().items()}


def _fits(state: Mapping[str, Tensor], name: str) -> str | None:
    """The architecture's name, with the keys' prefix, if only the number of classes differs."""
    from torchvision import models  # slow to import, so only for unknown weights

    try:
        shapes = _shapes(lambda: models.get_model(name, weights=None))
    except NotImplementedError:  # its initialisation does not work on the meta device
        return None
    if not (found := _without_prefix(state, shapes)):
        return None
    stripped, prefix = found
    fitting = all(
        stripped[key].shape == shape or (shape[:1] == (CLASSES,) and stripped[key].shape[1:] == shape[1:])
        for key, shape in shapes.items()
        if key in stripped
    )
    return (f"{name} (under the prefix {prefix!r})" if prefix else name) if fitting else None


def _listed(keys: Iterable[str]) -> str:
    first, *rest = sorted(keys) or ["none"]
    shown = [first, *rest][:SHOWN]
    return ", ".join(shown) + (f" and {len(rest) + 1 - SHOWN} more" if len(rest) >= SHOWN else "")
