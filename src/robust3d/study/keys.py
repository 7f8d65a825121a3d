"""Keys of the configuration that name other keys, and their order."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import AfterValidator


def in_order(first: Sequence[str]) -> AfterValidator:
    """Brings a mapping's keys into one order, `first` and then the others by name: that of the text means nothing."""
    ranks = {key: rank for rank, key in enumerate(first)}
    return AfterValidator(
        lambda values: {key: values[key] for key in sorted(values, key=lambda key: (ranks.get(key, len(ranks)), key))}
    )


def check_known(key: str, value: str, allowed: Mapping[Any, Any]) -> None:
    """Whether what a key names is defined.

    Raises:
        ValueError: it is not; the message lists what is.
    """
    if value not in allowed:
        raise ValueError(f"{key}: {value!r} is not defined; allowed: {', '.join(sorted(allowed)) or 'nothing yet'}")
