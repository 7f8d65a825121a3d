"""Values of records and cells as text, of any type: a damaged file may hold anything."""

import json
import math
import re
from typing import Any


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """The value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def show(value: Any) -> str:
    """A value in full precision: words as they are, lists with commas, anything deeper as JSON."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ", ".join(show(item) for item in value) or "empty"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """(dotted key, text) for every leaf of nested objects, in their order; objects in a list are counted from 1."""
    if isinstance(value, dict) and value:
        return [
            pair for key, item in value.items() for pair in flatten(item, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        named = [(prefix if len(value) == 1 else f"{prefix}.{i}", item) for i, item in enumerate(value, 1)]
        return [pair for name, item in named for pair in flatten(item, name)]
    return [(prefix, show(value))] if prefix else []


def slug(text: str) -> str:
    """Lower-case letters, digits and hyphens: safe as a file name, an address and an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:72].strip("-") or "unnamed"


class Slugs:
    """Slugs that differ even where their texts are alike."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, *texts: str) -> str:
        """A slug that was not given before, of one text or of several."""
        first = "--".join(map(slug, texts))
        name, n = first, 1
        while name in self._taken:
            n += 1
            name = f"{first}-{n}"
        self._taken.add(name)
        return name


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key under which figure 10 comes after figure 2."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


_ACRONYMS = ("rsa",)


def title(name: str) -> str:
    """`table4` as `Table 4`, `shapebias/table1` as `Table 1 of shapebias`, `brain` as `Brain`, `rsa` as `RSA`."""
    paper, _, target = name.rpartition("/")
    found = re.fullmatch(r"([a-z]+)([A-Z]?\d+)", target)
    words = f"{found[1]} {found[2]}" if found else target.replace("_", " ")
    words = words.upper() if words in _ACRONYMS else words
    return f"{words[:1].upper()}{words[1:]}{f' of {paper}' if paper else ''}"


def duration(value: Any) -> str:
    """Seconds, as people say them."""
    seconds = number(value)
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(value: Any) -> str:
    """Bytes, as people say them."""
    count = number(value)
    if count is None:
        return "unknown size"
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 shard`, `26 shards`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
