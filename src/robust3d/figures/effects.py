"""Draws differences to a baseline as points with intervals: a panel for each measure, a line for each row, grouped.

What can be told apart from 0 is coloured, by its direction; the rest is grey. Markers say the training.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robust3d.figures.drawing import reproducible, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MORE, LESS, OPEN = "#0072B2", "#D55E00", "#a6a6a6"  # of Okabe and Ito, whose difference also shows in grey
MARKERS = ("o", "s", "D", "^", "v")
_ROW, _GAP = 0.3, 0.42  # inches of a row, and of the heading of a group
_LETTERS = 13.5  # of the note, in an inch


@dataclass(frozen=True)
class Effect:
    """One difference with its interval.

    Attributes:
        row: which line it is on.
        training: which marker it has.
        value: the difference, in the panel's unit.
        low: of its interval; None: there is none.
        high: likewise.
        differs: whether it can be told apart from 0.
    """

    row: str
    training: str
    value: float
    low: float | None
    high: float | None
    differs: bool


@dataclass(frozen=True)
class Panel:
    """Differences of one measure.

    Attributes:
        title: above.
        unit: below.
        baseline: what the baseline has, as text, by training.
        effects: differences to it.
        chance: what guessing has, as text, where the baseline has no more; None: it has.
    """

    title: str
    unit: str
    baseline: Mapping[str, str]
    effects: Sequence[Effect]
    chance: str | None = None


def draw_effects(
    panels: Sequence[Panel],
    groups: Mapping[str, Sequence[tuple[str, str]]],
    trainings: Sequence[str],
    headline: str,
    note: str,
    path: Path,
) -> None:
    """Draw all panels side by side.

    Args:
        panels: from left to right.
        groups: from top to bottom: heading, and (row, label) of each line.
        trainings: their markers' order.
        headline: above all.
        note: below all.
        path: of the SVG.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    places, headings, height = _places(groups)
    width = 2.3 + 1.5 * max(1, len(panels))
    lines = textwrap.wrap(note, int(_LETTERS * width))
    with reproducible():
        figure = Figure(figsize=(width, height + 2.3), layout="constrained")
        grid = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
        for panel, axes in zip(panels, grid, strict=False):
            _draw_panel(panel, axes, places, trainings)
        for axes in grid:
            axes.set_ylim(height, 0)
            axes.set_yticks([], [])
            axes.spines["left"].set_visible(False)
        grid[0].set_yticks(
            [places[row] for rows in groups.values() for row, _ in rows],
            [label for rows in groups.values() for _, label in rows],
        )
        grid[0].tick_params("y", length=0)
        for heading, place in headings.items():
            grid[0].annotate(
                heading, (0, place), (-8, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", va="center", fontweight="bold", fontsize=9,
            )  # fmt: skip
        shown = [training for training in trainings if any(e.training == training for p in panels for e in p.effects)]
        handles = [
            *(Line2D([], [], color="#555555", marker=_marker(one, trainings), linestyle="") for one in shown),
            *(Line2D([], [], color=colour, linewidth=3) for colour in (MORE, LESS, OPEN)),
        ]
        labels = [*(f"{one} training" for one in shown), "more", "less", "cannot be told apart"]
        figure.legend(
            handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9, title=headline,
            title_fontproperties={"size": 12, "weight": "bold"},
        )  # fmt: skip
        figure.supxlabel("\n".join(lines), fontsize=8, color="#444444")
        save(figure, path)


def _places(groups: Mapping[str, Sequence[tuple[str, str]]]) -> tuple[dict[str, float], dict[str, float], float]:
    """Heights of rows and of headings from the top, and the whole height, in inches."""
    places: dict[str, float] = {}
    headings: dict[str, float] = {}
    at = 0.0
    for heading, rows in groups.items():
        headings[heading] = at + _GAP / 2
        at += _GAP
        for row, _ in rows:
            places[row] = at + _ROW / 2
            at += _ROW
    return places, headings, max(at, _ROW)


def _marker(training: str, trainings: Sequence[str]) -> str:
    return MARKERS[list(trainings).index(training) % len(MARKERS)]


def _draw_panel(panel: Panel, axes: "Axes", places: Mapping[str, float], trainings: Sequence[str]) -> None:
    shown = [training for training in trainings if any(one.training == training for one in panel.effects)]
    widest = 0.0
    for number, place in enumerate(places.values()):
        if number % 2 == 0:
            axes.axhspan(place - _ROW / 2, place + _ROW / 2, color="#f4f4f4", linewidth=0, zorder=0)
    axes.axvline(0, color="#777777", linewidth=1, zorder=1)
    for one in sorted(panel.effects, key=lambda effect: effect.differs):  # what can be told apart lies on top
        colour = OPEN if not one.differs else MORE if one.value > 0 else LESS
        y = places[one.row] + (shown.index(one.training) - (len(shown) - 1) / 2) * _ROW / (len(shown) + 0.5)
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [y, y], color=colour, linewidth=2 if one.differs else 1.2, zorder=2)
        axes.plot(
            one.value, y, color=colour, marker=_marker(one.training, trainings), markersize=5, linestyle="", zorder=3,
            gid=f"{panel.title}, {one.row}, {one.training}".replace("\n", " "),
        )  # fmt: skip
        widest = max(widest, *(abs(bound) for bound in (one.value, one.low, one.high) if bound is not None))
    axes.set_xlim(-1.08 * (widest or 1), 1.08 * (widest or 1))
    axes.tick_params("x", labelsize=8)
    axes.set_xlabel(panel.unit, fontsize=8)
    scratch = " / ".join(panel.baseline[training] for training in shown if training in panel.baseline)
    scratch += f" (chance {panel.chance})" if panel.chance else ""
    axes.set_title(f"{panel.title}\n", fontsize=9)
    axes.annotate(
        scratch, (0.5, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", ha="center", fontsize=7.5,
        color="#555555",
    )  # fmt: skip
