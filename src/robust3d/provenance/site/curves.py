"""Training curves as small drawings, one a quantity, from the rows that a training run reported."""

import math
from dataclasses import dataclass, field
from typing import Any

from robust3d.provenance.site.plain import as_dict, as_list, number

WIDTH, HEIGHT = 220, 124
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 20
KINDS = ("training", "validation", "baseline")
_SANE = 1e30  # beyond, a run has diverged and an axis says nothing
_BASELINE_OF = {"chance": "accuracy"}  # other baselines carry the suffix


@dataclass
class Chart:
    """One quantity over the steps of a run.

    Attributes:
        points: for each of `KINDS`, (step, value).
    """

    name: str
    points: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def last(self, kind: str) -> str:
        """The last value, or nothing."""
        return _short(self.points[kind][-1][1]) if self.points[kind] else ""

    @property
    def words(self) -> str:
        """What the drawing shows, for those who do not see it."""
        parts = [
            f"{kind} {_short(found[0][1])} at step {found[0][0]:g}"
            + (f", {_short(found[-1][1])} at step {found[-1][0]:g}" if len(found) > 1 else "")
            for kind, found in self.points.items()
            if found
        ]
        return f"{self.name}: {'; '.join(parts)}"

    @property
    def x_range(self) -> tuple[float, float]:
        """From step 0 to the last."""
        return 0.0, max(step for found in self.points.values() for step, _ in found) or 1.0

    @property
    def y_range(self) -> tuple[float, float]:
        """Round numbers around all values."""
        values = [value for found in self.points.values() for _, value in found]
        low, high = min(values), max(values)
        if high - low <= 1e-9 * max(abs(low), abs(high)):  # all but level
            low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
        unit = 10 ** math.floor(math.log10(high - low))
        unit /= 2 if (high - low) / unit < 4 else 1
        return math.floor(low / unit) * unit, math.ceil(high / unit) * unit

    @property
    def y_labels(self) -> list[tuple[float, str]]:
        """(y, label) of the axis's ends."""
        low, high = self.y_range
        return [(self._y(low), _short(low)), (self._y(high), _short(high))]

    def dots(self, kind: str) -> list[tuple[float, float]]:
        """Places in the drawing."""
        end = self.x_range[1]
        across = WIDTH - LEFT - RIGHT
        return [(round(LEFT + across * step / end, 1), self._y(value)) for step, value in self.points[kind]]

    def line(self, kind: str) -> str:
        """The same as SVG's `points`."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.dots(kind))

    def _y(self, value: float) -> float:
        low, high = self.y_range
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low), 1)


def charts(metrics: Any) -> list[Chart]:
    """The charts of a run's ``metrics.json``; none if it holds no rows with numbers."""
    found: dict[str, Chart] = {}
    for row in map(as_dict, as_list(as_dict(metrics).get("rows"))):
        step = number(row.get("step"))
        if step is None or step < 0:
            continue
        for part in ("training", "validation"):
            for key, value in sorted(as_dict(row.get(part)).items()):
                name, kind = str(key), part
                if name.endswith("_baseline") or name in _BASELINE_OF:
                    name, kind = _BASELINE_OF.get(name, name.removesuffix("_baseline")), "baseline"
                value = number(value)
                if value is not None and abs(value) < _SANE:
                    found.setdefault(name, Chart(name)).points[kind].append((step, value))
    return [found[name] for name in sorted(found, key=lambda name: (name != "loss", name))]


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")
