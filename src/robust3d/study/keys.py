"""Keys of the configuration that refer to other keys, their order, and labels."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

from robust3d.params import distinct

Keys = Annotated[tuple[str, ...], AfterValidator(distinct)]
"""Keys of entries, each once: what a repeated one names would be counted twice."""


def there(entries: Any) -> Any:
    """The entries that an overlay has not set to null, which leaves a row out."""
    return {key: entry for key, entry in entries.items() if entry is not None} if isinstance(entries, dict) else entries


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


def check_labels(labels: Mapping[str, str]) -> None:
    """Check that labels differ: rows and columns are found by them.

    Args:
        labels: by the path of their key.

    Raises:
        ValueError: one is the label of two; the message begins with the path of the second.
    """
    seen: set[str] = set()
    for place, label in labels.items():
        if label in seen:
            raise ValueError(f"{place}: {label!r} is the label of two; give each its own")
        seen.add(label)
