"""`like: NAME` in a configuration: an entry takes the keys of another entry of its section; its own keys win.

This is resolved after all layers have been merged, so an overlay of an entry reaches every entry that is like it.

    classifiers:
      linf: {epochs: 4, attack: {norm: Linf, steps: 7}}
      l2: {like: linf, attack: {norm: L2}}      # epochs: 4, attack: {norm: L2, steps: 7}

Deeper in an entry it takes the value at the same path of the other entry:

    families:
      geons: {kind: geons, render: {samples: 8}}
      categories: {kind: categories, render: {like: geons}}      # render: {samples: 8}
"""

import copy
from collections.abc import Mapping
from typing import Any

from robust3d.errors import UserError

LIKE = "like"


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` updated by `overlay`: mappings are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def resolve_likes(values: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without `like`: each entry with all of its keys.

    Args:
        values: all layers, merged.

    Raises:
        UserError: an entry is like one that is not defined or lacks the path, or `like` forms a circle.
    """
    try:
        return {
            name: _Section(name, section).resolved() if isinstance(section, Mapping) else section
            for name, section in values.items()
        }
    except RecursionError:
        raise UserError(
            "the configuration: hundreds of entries are like one another in a row; shorten the row"
        ) from None


class _Section:
    """One section, whose entries may be like each other."""

    def __init__(self, name: str, entries: Mapping[str, Any]) -> None:
        self.name, self.entries = name, entries
        self.done: dict[str, Any] = {}
        self.open: list[str] = []  # stack of entries whose keys are being looked up

    def resolved(self) -> dict[str, Any]:
        return {key: self._entry(key) for key in self.entries}

    def _entry(self, key: str) -> Any:
        if key not in self.done:
            if key in self.open:
                circle = " → ".join([*self.open[self.open.index(key) :], key])
                raise UserError(f"{self.name}: {circle} are like each other in a circle; write the keys of one of them")
            self.open.append(key)
            self.done[key] = self._at(self.entries[key], (key,))
            self.open.pop()
        return self.done[key]

    def _at(self, value: Any, path: tuple[str, ...]) -> Any:
        """The value at a path, with the keys of the entry that it is like."""
        if not isinstance(value, Mapping):
            return value
        own = {key: self._at(inner, (*path, key)) for key, inner in value.items() if key != LIKE}
        if value.get(LIKE) is None:
            return own
        base = copy.deepcopy(self._of(value[LIKE], path))  # so that entries share no values
        if isinstance(base, Mapping):
            return merge(base, own)
        if own:
            raise UserError(f"{self._key(path)}: {base!r} of {value[LIKE]} has no keys, so none can stand beside it")
        return base

    def _of(self, other: Any, path: tuple[str, ...]) -> Any:
        """The value at the same path of another entry."""
        if not isinstance(other, str) or other not in self.entries:
            known = ", ".join(sorted(set(self.entries) - {path[0]})) or "nothing yet"
            raise UserError(f"{self._key(path)}: {other!r} is not defined; allowed: {known}")
        found = self._entry(other)
        for key in path[1:]:
            if not isinstance(found, Mapping) or key not in found:
                raise UserError(f"{self._key(path)}: {other!r} has no {'.'.join(path[1:])}")
            found = found[key]
        return found

    def _key(self, path: tuple[str, ...]) -> str:
        return ".".join((self.name, *path, LIKE))
