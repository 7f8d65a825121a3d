"""Bars of two networks by layer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared
from robust3d.tables.statistics import bars_note

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def draw_layers(
    job: "Context", panels: Mapping[str, tuple[str, str]], cells: Sequence[Mapping[str, Any]], seeds: int
) -> None:
    """Draw cells with `panel`, `layer` and `row`.

    Args:
        job: of the figure.
        panels: title and label of the axis, by the name of a panel.
        cells: in the order of models and layers.
        seeds: how many there are.
    """
    from robust3d.figures.groups import BarPanel, draw_bar_panels  # planning needs no matplotlib

    drawn = []
    for name, (title, ylabel) in panels.items():
        here = [cell for cell in cells if cell["panel"] == name]
        layers = list(dict.fromkeys(cell["layer"] for cell in here))
        rows = list(dict.fromkeys(cell["row"] for cell in here))
        series = [
            compared.bars(row, place, [cell for cell in here if cell["row"] == row]) for place, row in enumerate(rows)
        ]
        drawn.append(BarPanel(title, layers, ylabel, series))
    over = "Intervals over the training seeds" if seeds > 2 else bars_note(seeds)
    draw_bar_panels(drawn, f"{over}. Study “{job.params['study']}”.", job.outputs["picture"])
