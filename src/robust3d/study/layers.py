"""Parameters that several keys of a section give together, beside those that follow from the rest of the study."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from robust3d.study.like import merge

Read = TypeVar("Read")


def read_layers(
    read: Callable[[Mapping[str, Any], str], Read], at: str, fixed: Mapping[str, Any], layers: Mapping[str, Any]
) -> Read:
    """The checked parameters.

    Args:
        read: checks values; its messages begin with the key that it is told.
        at: key of the entry, for mistakes of `fixed`.
        fixed: what follows from the rest of the study; no layer may set it.
        layers: values by their key, later over earlier.

    Raises:
        ValueError: a mistake, told under the first key with which it is there.
    """
    merged: dict[str, Any] = dict(fixed)
    for key, values in layers.items():
        if found := _taken(fixed, values):
            raise ValueError(f"{key}.{found} here, which follows from other keys; leave it out")
        merged = merge(merged, values)
    try:
        return read(merged, at)
    except ValueError:
        merged = {}
        for key, values in {at: fixed, **layers}.items():
            merged = merge(merged, values)
            read(merged, key)
        raise


def _taken(fixed: Mapping[str, Any], values: Mapping[str, Any]) -> str | None:
    """The path of a value in `fixed` that `values` would replace, and what it is."""
    for key in sorted(fixed.keys() & values.keys()):
        ours, theirs = fixed[key], values[key]
        if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
            return f"{key}: {str(ours).lower()}"
        if inner := _taken(ours, theirs):
            return f"{key}.{inner}"
    return None
