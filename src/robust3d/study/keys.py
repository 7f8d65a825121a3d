"""Keys of the configuration that refer to other keys, and their order."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import AfterValidator


def in_order(first: Sequence[str]) -> AfterValidator:
    """Sorts a mapping's keys, `first` and then the others by name: their order in the file has no meaning."""
    ranks = {key: rank for rank, key in enumerate(first)}
    return AfterValidator(
        lambda values: {key: values[key] for key in sorted(values, key=lambda key: (ranks.get(key, len(ranks)), key))}
    )


def check_known(key: str, value: str, allowed: Mapping[Any, Any]) -> None:
    """Check that the entry that a key refers to is defined.

    Raises:
        ValueError: it is not; the message lists the defined ones.
    """
    if value not in allowed:
        raise ValueError(f"{key}: {value!r} is not defined; allowed: {', '.join(sorted(allowed)) or 'nothing yet'}")
