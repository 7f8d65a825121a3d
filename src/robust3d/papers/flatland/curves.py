"""Learning curves: accuracy by the number of labels, where pre-training matters most."""

from typing import TYPE_CHECKING, Any

from robust3d.papers.flatland import measures, transfer
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import bars_note

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from."""
    return measures.sources(plan, section, ("transfer",))


def write(job: "Context") -> None:
    """A panel for each target and training, a curve for each start; the numbers are those of the table."""
    from robust3d.figures.labels import LabelPanel, LabelSeries, draw_label_curves  # planning needs no matplotlib

    cells = transfer.cells_of(job)
    write_table(job, text_table(cells, "start"), transfer.CAPTION, cells)
    places = {label: number for number, label in enumerate(dict.fromkeys(cell["row"] for cell in cells))}
    panels = []
    for target in job.params["targets"]:
        for training in job.params["trainings"].values():
            here = [cell for cell in cells if (cell["target"], cell["training"]) == (target, training)]
            series = [
                LabelSeries(label, place, [cell for cell in here if cell["row"] == label])
                for label, place in places.items()
            ]
            panels.append(LabelPanel(f"{target}, {training}", series, 100 * here[0]["chance"]))
    note = f"Study “{job.params['study']}”. Bars: {bars_note(len(cells[0]['conditions']))}."
    draw_label_curves(panels, note, job.outputs["picture"])
