"""Faults of meshes: what of their materials, pictures and faces could not be read as their files have it.

The objects are shown all the same, in a colour that is left, so every number that rests on them says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 3

Faults = dict[str, list[str]]
"""By object: its faults in words."""


def faults_entry(faults: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What a manifest says of them: nothing if there are none."""
    found = {name: list(reasons) for name, reasons in faults.items() if reasons}
    return {"faults": found} if found else {}


def gather_faults(faults: Faults, class_name: str, entry: Mapping[str, Any]) -> None:
    """Take in what one shard's manifest says."""
    prefix = f"{class_name}/" if class_name else ""
    faults |= {f"{prefix}{name}": reasons for name, reasons in entry.get("faults", {}).items()}


def fault_notices(family: str, faults: Faults) -> list[str]:
    """Sentences that must travel with every number that rests on these objects."""
    if not faults:
        return []
    count = sum(map(len, faults.values()))
    first = [f"{name}: {reasons[0]}" for name, reasons in sorted(faults.items())][:_SHOWN]
    more = "; …" * (len(faults) > _SHOWN)
    return [
        f"family {family}: {count:,} fault{'s' * (count > 1)} in the materials or faces of {len(faults):,} "
        f"object{'s' * (len(faults) > 1)}, shown without what could not be read ({'; '.join(first)}{more})"
    ]
