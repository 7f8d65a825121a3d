"""Draws numbers of several models side by side, as groups of bars, and the points of several models in one plane."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d.figures.drawing import STYLES, reproducible, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
_LETTERS = 12  # of a note, in an inch
_LONG = 26  # letters below a panel that fit side by side


@dataclass(frozen=True)
class Bars:
    """One model: a bar for each group.

    Attributes:
        label: of the legend.
        style: its place in `STYLES`.
        values: of each group; None: no bar.
        intervals: (low, high) of each, or None.
    """

    label: str
    style: int
    values: Sequence[float | None]
    intervals: Sequence[tuple[float, float] | None]


@dataclass(frozen=True)
class BarPanel:
    """Bars that share their groups.

    Attributes:
        title: above.
        groups: names below the bars.
        ylabel: at the left.
        series: models.
        line: height of a dashed line, such as that of chance; None: none.
    """

    title: str
    groups: Sequence[str]
    ylabel: str
    series: Sequence[Bars]
    line: float | None = None


@dataclass(frozen=True)
class Cloud:
    """One model: points (x, y)."""

    label: str
    style: int
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class CloudPanel:
    """Points that share their axes."""

    title: str
    clouds: Sequence[Cloud]


def bars_of(label: str, style: int, cells: Sequence[Mapping[str, Any]], scale: float = 1) -> Bars:
    """The bars of one model from its cells; `scale` brings their intervals to the unit of their values."""
    found = [cell.get("interval") for cell in cells]
    bounds = [(scale * one["low"], scale * one["high"]) if one else None for one in found]
    return Bars(label, style, [cell["value"] for cell in cells], bounds)


def draw_bar_panels(panels: Sequence[BarPanel], note: str, path: Path) -> None:
    """Groups of bars, two panels to a row, one legend for all.

    Args:
        panels: in reading order.
        note: below the picture.
        path: of the SVG.
    """
    widest = max(len(panel.groups) * max(2, len(panel.series)) for panel in panels)
    _draw(panels, _draw_bars, max(4.0, 0.24 * widest + 1.4), note, path)


def draw_clouds(panels: Sequence[CloudPanel], xlabel: str, ylabel: str, note: str, path: Path) -> None:
    """Points and the diagonal, two panels to a row, one legend for all; both axes are logarithmic.

    Args:
        panels: in reading order.
        xlabel: of all panels.
        ylabel: likewise.
        note: below the picture.
        path: of the SVG.
    """

    def draw(panel: CloudPanel, axes: "Axes") -> dict[str, Any]:
        found = _draw_cloud(panel, axes)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        return found

    _draw(panels, draw, 4.0, note, path)


def _draw(
    panels: Sequence[Any], draw: "Callable[[Any, Axes], dict[str, Any]]", width: float, note: str, path: Path
) -> None:
    from matplotlib.figure import Figure

    columns = 1 if width > 6.5 else min(len(panels), 2)
    width = max(width, 6.0) if columns == 1 else width
    rows = -(-len(panels) // columns)
    with reproducible():
        figure = Figure(figsize=(width * columns + 0.4, 3.3 * rows + 1.1), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        handles: dict[str, Any] = {}
        for panel, axes in zip(panels, grid.flat):
            for label, handle in draw(panel, axes).items():
                handles.setdefault(label, handle)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        per_row = max(1, int(width * columns / 1.9))
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper center",
            ncols=min(len(handles), per_row),
            frameon=False,
        )
        lines = [line for part in note.split("\n") for line in textwrap.wrap(part, int(_LETTERS * width * columns))]
        figure.supxlabel("\n".join(lines), fontsize=10, color="#444444")
        save(figure, path)


def _draw_bars(panel: BarPanel, axes: "Axes") -> dict[str, Any]:
    """Draw one panel; the legend's handles by label."""
    width = 0.8 / len(panel.series)
    handles: dict[str, Any] = {}
    for number, bars in enumerate(panel.series):
        colour = STYLES[bars.style % len(STYLES)][0]
        shift = (number - (len(panel.series) - 1) / 2) * width
        there = [place for place, value in enumerate(bars.values) if value is not None]
        values = [float(bars.values[place] or 0) for place in there]
        handles[bars.label] = axes.bar(
            [place + shift for place in there], values, 0.92 * width, color=colour, edgecolor="black", linewidth=0.8,
            hatch=HATCHES[bars.style % len(HATCHES)],
        )  # fmt: skip
        for place, value in zip(there, values):
            if (bounds := bars.intervals[place]) is not None:
                ends = [[max(0.0, value - bounds[0])], [max(0.0, bounds[1] - value)]]
                axes.errorbar(place + shift, value, ends, color="#555555", elinewidth=1, capsize=2.5)
    if panel.line is not None:
        axes.axhline(panel.line, color="#777777", linewidth=1, linestyle=(0, (1, 3)))
    axes.axhline(0, color="black", linewidth=1)
    turned = sum(map(len, panel.groups)) > _LONG
    axes.set_xticks(
        range(len(panel.groups)), panel.groups, rotation=40 if turned else 0, ha="right" if turned else "center"
    )
    if not any(value for bars in panel.series for value in bars.values):
        axes.set_ylim(0, 1)
    axes.set_xlim(-0.6, len(panel.groups) - 0.4)
    axes.set_ylabel(panel.ylabel)
    axes.set_title(panel.title, fontsize=10)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return handles


def _draw_cloud(panel: CloudPanel, axes: "Axes") -> dict[str, Any]:
    from matplotlib.ticker import NullFormatter

    handles: dict[str, Any] = {}
    for cloud in panel.clouds:
        colour, marker, _ = STYLES[cloud.style % len(STYLES)]
        x, y = zip(*cloud.points) if cloud.points else ((), ())
        handles[cloud.label] = axes.scatter(x, y, s=14, color=colour, marker=marker, linewidths=0, alpha=0.7)
    values = [value for cloud in panel.clouds for point in cloud.points for value in point]
    if values:
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        low, high = min(values) / 1.2, max(values) * 1.2
        axes.plot([low, high], [low, high], color="#777777", linewidth=1, zorder=0)
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
    axes.set_title(panel.title, fontsize=10)
    return handles
