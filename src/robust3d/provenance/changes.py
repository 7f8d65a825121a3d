"""What differs between two specs or two states of the code, in words: keys, functions, packages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "parameter", "seed", "code", "package", "input", "processor", "hardware only", "nondeterminism", "missing"
]
_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        kind: of what.
        text: what differs, old → new.
    """

    kind: Kind
    text: str


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; lists stay whole."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _pairs(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, `old → new`) of every key whose value differs."""
    for key in sorted({*old, *new}):
        was, becomes = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if was != becomes:
            yield key, f"{key}: {_short(was)} → {_short(becomes)}"


def _short(value: Any) -> str:
    if value is _ABSENT:
        return "(none)"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def parameter_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Parameters that differ; a key that ends in `seed` is a seed."""
    changes = []
    for key, text in _pairs(flatten(old), flatten(new)):
        changes.append(Change("seed" if key.split(".")[-1].endswith("seed") else "parameter", text))
    return changes


def package_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """Versions that differ."""
    return [Change("package", text) for _, text in _pairs(old, new)]


def code_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Modules whose meaning differs, each with the functions that do; both as `closure.describe` gives them."""
    changes = []
    for module in sorted({*old, *new}):
        before, now = old.get(module), new.get(module)
        if before is None or now is None:
            changes.append(Change("code", f"{module} is {'new' if before is None else 'no longer used'}"))
        elif before["meaning"] != now["meaning"]:
            named = [key for key, _ in _pairs(before.get("parts", {}), now["parts"])]
            changes.append(Change("code", f"{now['file']}: {', '.join(named) or 'order of its statements'}"))
    return changes


def spec_changes(old: Mapping[str, Any], new: Mapping[str, Any], old_code: Any, new_code: Any) -> list[Change]:
    """All differences between the parameters of two jobs."""
    changes = parameter_changes(old["params"], new["params"])
    changes += parameter_changes(*({"numerics": "portable" if "numerics" in s else "native"} for s in (old, new)))
    if old["code"] != new["code"]:
        found = code_changes(old_code, new_code)
        changes += found or [Change("code", f"digest {old['code'][:12]} → {new['code'][:12]}")]
    return changes + package_changes(old["packages"], new["packages"])
