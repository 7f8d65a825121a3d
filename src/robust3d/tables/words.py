"""A cell's interval and its differences to other cells in words, the same for `why`, the site and the claims."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

OF_SHARES = ("%", "points")  # units of which cells hold shares in [0, 1], except their value


class Difference(NamedTuple):
    """What a cell says of its difference to another.

    Attributes:
        to: the other row or column; None: the cell is itself a difference.
        value: with its sign and unit.
        bounds: of its interval; None: it has none.
        verdict: what may be said of it, and why no more.
        kind: of the interval.
    """

    to: str | None
    value: str
    bounds: str | None
    verdict: str
    kind: str | None


def differences(cell: Mapping[str, Any]) -> list[Difference]:
    """Those that a cell states, but for the one to itself."""
    found = []
    for key, entry in cell.items():
        if not key.startswith("difference") or not isinstance(entry, Mapping):
            continue
        named = key.removeprefix("difference_to_")
        to, value = entry.get("to", None if named == key else named), _number(entry.get("value"))
        if value is None or (to is not None and to in (cell.get("row"), cell.get("column"))):
            continue
        low, high = (_number(entry.get(bound)) for bound in ("low", "high"))
        unit = "points" if cell.get("unit") in OF_SHARES else str(cell.get("unit") or "")
        number = f"{written(value, low, high, unit, signed=True)} {unit}".strip()
        bounds = interval(entry, cell.get("unit"), signed=True)
        kind = entry.get("kind")
        name = None if to is None else str(to)
        found.append(Difference(name, number, bounds, _verdict(entry), None if kind is None else str(kind)))
    return found


def interval(bounds: Mapping[str, Any], unit: Any, signed: bool = False) -> str | None:
    """`57.2 to 79.1`, in the unit of the cell's value; None if an end is missing."""
    low, high = (_number(bounds.get(end)) for end in ("low", "high"))
    if low is None or high is None:
        return None
    return " to ".join(written(end, low, high, unit, signed) for end in (low, high))


def written(value: float, low: float | None, high: float | None, unit: Any, signed: bool = False) -> str:
    """A number of a cell as its interval lets know it: a share as a percentage with one decimal.

    Args:
        value: a share if the unit is % or points, else in the unit.
        low: of its interval; None: it has none.
        high: likewise.
        unit: of the cell.
        signed: with a sign, also if it is positive.
    """
    scale, digits = (100, 1) if unit in OF_SHARES else (1, decimals(low, high))
    text = f"{scale * value:.{digits}f}"
    zero = not text.strip("-0.")
    return f"{0:.{digits}f}" if zero else f"+{text}" if signed and value > 0 else text


def decimals(low: float | None, high: float | None) -> int:
    """So many that two count of half the interval; at least three."""
    width = 0.0 if low is None or high is None else (high - low) / 2
    return 3 if not 0 < width < math.inf else max(3, 1 - math.floor(math.log10(width)))


def _verdict(found: Mapping[str, Any]) -> str:
    """What may be said of a difference, alone and among all comparisons of its table."""
    text = str(found.get("verdict") or "no verdict")
    if (p := _number(found.get("p"))) is not None:
        text += f" (p {p:.2g})"
    if (p := _number(found.get("p_holm"))) is not None:
        text += f"; among {found.get('comparisons')} comparisons {found.get('verdict_holm')} (Holm's p {p:.2g})"
    return f"{text}; {found['note']}" if found.get("note") else text


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None
