"""Draws accuracy over the number of labels, as SVG whose bytes depend on the numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robust3d.figures.drawing import STYLES, reproducible, save


@dataclass(frozen=True)
class LabelSeries:
    """One curve; `style` is its place in `STYLES`; cells have `labels` (None: all), `value` in percent, `interval`."""

    label: str
    style: int
    cells: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class LabelPanel:
    """Curves on one set; `chance` in percent."""

    title: str
    series: Sequence[LabelSeries]
    chance: float


def draw_label_curves(panels: Sequence[LabelPanel], note: str, path: Path) -> None:
    """Accuracy in percent over labels of each class, two panels to a row, one legend for all.

    Args:
        panels: in reading order, with the same numbers of labels.
        note: below the picture.
        path: of the SVG.
    """
    from matplotlib.figure import Figure

    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    handles: dict[str, Any] = {}
    with reproducible():
        figure = Figure(figsize=(4.1 * columns + 0.4, 3.0 * rows + 1.2), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for panel, axes in zip(panels, grid.flat):
            for number, series in enumerate(panel.series):
                colour, marker, dashes = STYLES[series.style % len(STYLES)]
                shift = 0.04 * (number - (len(panel.series) - 1) / 2)  # so that bars do not hide each other
                values = [cell["value"] for cell in series.cells]
                lows, highs = ([100 * cell["interval"][end] for cell in series.cells] for end in ("low", "high"))
                handles[series.label] = axes.errorbar(
                    [place + shift for place in range(len(values))],
                    values,
                    [
                        [max(0.0, value - low) for value, low in zip(values, lows)],
                        [max(0.0, high - value) for value, high in zip(values, highs)],
                    ],
                    color=colour, marker=marker, linestyle=dashes, markersize=5, linewidth=1.4, elinewidth=0.8,
                    capsize=2,
                )  # fmt: skip
            handles["chance"] = axes.axhline(panel.chance, color="#777777", linewidth=1, linestyle=(0, (1, 3)))
            names = [str(cell["labels"] or "all") for cell in panel.series[0].cells]
            axes.set_xticks(range(len(names)), names)
            axes.set_title(panel.title, fontsize=10)
            axes.set_xlabel("labels of each class")
            axes.set_ylabel("accuracy (%)")
            axes.grid(axis="y", color="#dddddd", linewidth=0.6)
            axes.set_axisbelow(True)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        handles["chance"] = handles.pop("chance")  # last
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, frameon=False)
        figure.supxlabel(note, fontsize=8, color="#444444")
        save(figure, path)
