"""Draws accuracy over budgets, and differences as bars, as SVG whose bytes depend on the numbers only.

Colours are Okabe and Ito's, which the colour-blind can tell apart; markers, dashes and hatches say the same in grey.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# (colour, marker, dashes) of adversarial training alone, then of the pre-trainings in the study's order.
STYLES: tuple[tuple[str, str, Any], ...] = (
    ("#000000", "o", "-"),
    ("#009E73", "^", (0, (1, 1))),
    ("#CC79A7", "v", (0, (4, 1, 1, 1))),
    ("#D55E00", "s", (0, (5, 1))),
    ("#0072B2", "D", "-"),
    ("#E69F00", "P", (0, (3, 1, 1, 1, 1, 1))),
    ("#56B4E9", "X", (0, (2, 2))),
)
NORMS = {"Linf": "$L_\\infty$", "L2": "$L_2$"}
HATCHES = {"Linf": "", "L2": "////"}
FILLS = {"Linf": "#0072B2", "L2": "#E69F00"}
DODGE = 0.008  # of the budgets' range, between neighbouring curves, so that their bars do not hide each other


@dataclass(frozen=True)
class Point:
    """One accuracy, a share, at one budget, with its interval."""

    epsilon: float
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, cell: dict[str, Any]) -> "Point":
        """The point that a cell tells of."""
        return cls(cell["epsilon"], cell["value"] / 100, cell["interval"]["low"], cell["interval"]["high"])


@dataclass(frozen=True)
class Series:
    """One curve; `style` is its place in `STYLES`."""

    label: str
    style: int
    points: Sequence[Point]


@dataclass(frozen=True)
class Panel:
    """Curves that share their test images; `chance` is the accuracy of guessing."""

    title: str
    norm: str
    series: Sequence[Series]
    n: int
    chance: float


@dataclass(frozen=True)
class Bar:
    """A difference in percentage points, with its interval."""

    group: str
    norm: str
    value: float
    low: float
    high: float


@contextmanager
def reproducible() -> Iterator[None]:
    """Matplotlib's defaults instead of the user's settings, and ids and text that are the same in every run."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams |= {
            "svg.hashsalt": "robust3d",
            "svg.fonttype": "path",  # glyphs as outlines: the picture needs no font where it is seen
            "axes.spines.top": False,
            "axes.spines.right": False,
            "font.size": 10,
            "hatch.linewidth": 0.6,
        }
        yield


def save(figure: Any, path: Path) -> None:
    """Write an SVG without a date."""
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def draw_curves(panels: Sequence[Panel], note: str, path: Path) -> None:
    """Accuracy in percent over budgets, two panels to a row, one legend for all.

    Args:
        panels: in reading order.
        note: below the picture.
        path: of the SVG.
    """
    from matplotlib.figure import Figure

    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    with reproducible():
        figure = Figure(figsize=(4.1 * columns + 0.4, 3.3 * rows + 0.9), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        handles: dict[str, Any] = {}
        for panel, axes in zip(panels, grid.flat):
            handles |= _draw_panel(panel, axes)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel("accuracy (%)")
        handles["chance"] = handles.pop("chance")  # last
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=min(len(handles), 6), frameon=False
        )
        figure.supxlabel(note, fontsize=8, color="#444444")
        save(figure, path)


def _draw_panel(panel: Panel, axes: "Axes") -> dict[str, Any]:
    """Draw one panel; the legend's handles by label."""
    scale = 255 if panel.norm == "Linf" else 1
    budgets = sorted({point.epsilon * scale for series in panel.series for point in series.points})
    handles: dict[str, Any] = {}
    for i, series in enumerate(panel.series):
        colour, marker, dashes = STYLES[series.style % len(STYLES)]
        shift = (i - (len(panel.series) - 1) / 2) * DODGE * budgets[-1]
        values = [100 * point.value for point in series.points]
        handles[series.label] = axes.errorbar(
            [point.epsilon * scale + shift for point in series.points],
            values,
            # rounding may put a bound a hair inside the value
            [
                [max(0.0, value - 100 * point.low) for value, point in zip(values, series.points)],
                [max(0.0, 100 * point.high - value) for value, point in zip(values, series.points)],
            ],
            color=colour, marker=marker, linestyle=dashes, markersize=6, linewidth=1.6, elinewidth=0.9, capsize=2.5,
        )  # fmt: skip
        handles[series.label][0].set_gid(f"{panel.title}, {panel.norm}, {series.label}")
    handles["chance"] = axes.axhline(100 * panel.chance, color="#777777", linewidth=1, linestyle=(0, (1, 3)))
    axes.set_title(f"{panel.title}, n = {panel.n:,}", fontsize=10)
    axes.set_xlabel(f"{NORMS[panel.norm]} budget ε" + (" (1/255)" if panel.norm == "Linf" else ""))
    axes.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    axes.set_ylim(-2, 102)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return handles


def draw_bars(bars: Sequence[Bar], ylabel: str, note: str, path: Path) -> None:
    """Differences side by side: a group for each setting, in it a bar for each norm.

    Args:
        bars: groups and norms in the order of their first appearance.
        ylabel: what the height is.
        note: below the picture.
        path: of the SVG.
    """
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(bar.group for bar in bars))
    norms = list(dict.fromkeys(bar.norm for bar in bars))
    width = 0.8 / len(norms)
    with reproducible():
        figure = Figure(figsize=(1.5 * len(groups) + 2.2, 4.0), layout="constrained")
        axes = figure.subplots()
        for bar in bars:
            x = groups.index(bar.group) + (norms.index(bar.norm) - (len(norms) - 1) / 2) * width
            axes.bar(
                x, bar.value, 0.92 * width, color=FILLS[bar.norm], hatch=HATCHES[bar.norm], edgecolor="black",
                linewidth=0.8, yerr=[[max(0.0, bar.value - bar.low)], [max(0.0, bar.high - bar.value)]],
                error_kw={"elinewidth": 1, "capsize": 3}, label=NORMS[bar.norm] if bar.group == groups[0] else None,
            )  # fmt: skip
        axes.axhline(0, color="black", linewidth=1)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=len(norms), frameon=False)
        figure.supxlabel(note, fontsize=8, color="#444444")
        save(figure, path)
