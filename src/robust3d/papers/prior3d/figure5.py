"""Figure 5: accuracy by the amount of data of the 3D task."""

from typing import TYPE_CHECKING, Any

from robust3d.papers.prior3d import compared
from robust3d.papers.prior3d.section import Row
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import bars_note

if TYPE_CHECKING:
    from robust3d.papers.prior3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from."""
    first = section.figure5[0].label
    rows = [
        Row(label=one.label, pretraining=one.pretraining, against=None if one.label == first else first)
        for one in section.figure5
    ]
    return compared.sources(plan, section, rows, {section.probe: section.figure5_sets})


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    from robust3d.figures.groups import BarPanel, bars_of, draw_bar_panels  # planning needs no matplotlib

    cells = compared.cells_of(job, {"columns": ()})
    write_table(job, text_table(cells, "training data"), "Accuracy (%) by the training data of the 3D task.", cells)
    rows, columns = (list(dict.fromkeys(cell[name] for cell in cells)) for name in ("row", "column"))
    series = [
        bars_of(row, place, [cell for cell in cells if cell["row"] == row], 100) for place, row in enumerate(rows, 1)
    ]
    seeds = len(cells[0]["conditions"])
    note = f"Study “{job.params['study']}”. Bars: {bars_note(seeds)}.\n" + "\n".join(job.params["flags"])
    draw_bar_panels([BarPanel("", columns, "accuracy (%)", series)], note, job.outputs["picture"])
