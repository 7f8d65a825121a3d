"""Figure 3: accuracy on scrambled images, over the number of tiles, of those that the compared models get right."""

from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import bars_note

if TYPE_CHECKING:
    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

SCRAMBLED = "scrambled_"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the figure is made from: the answers that Table 3 counts too."""
    return compared.sources(plan, section, section.distortions)


def write(job: "Context") -> None:
    """A panel for each group of models."""
    models = compared.read(job)
    cells = []
    for model, peers, kept in compared.beside_peers(models):
        asked = sorted(
            int(name.removeprefix(SCRAMBLED)) for name in model.shares[0].index if name.startswith(SCRAMBLED)
        )
        for tiles in (1, *asked):
            kinds = [compared.CLEAN if tiles == 1 else f"{SCRAMBLED}{tiles}"]
            cell = compared.share_cell(job, model, peers, kept, kinds)
            cells.append({"row": model.label, "column": f"{tiles}x{tiles}", **cell})
    caption = (
        "Accuracy (%) on images cut into tiles in a random order, of those that all models of a group, of every seed, "
        "get right as they are (1x1)."
    )
    write_table(job, text_table(cells, "network"), caption, cells)
    _draw(job, models, cells)


def _draw(job: "Context", models: list[compared.Compared], cells: list[dict[str, Any]]) -> None:
    from robust3d.figures.groups import BarPanel, draw_bar_panels  # planning needs no matplotlib

    panels = []
    for group in dict.fromkeys(model.group for model in models):
        labels = [model.label for model in models if model.group == group]
        columns = list(dict.fromkeys(cell["column"] for cell in cells))
        here = {(cell["row"], cell["column"]): cell for cell in cells}
        series = [compared.bars(label, place, [here[label, column] for column in columns], 100)
                  for place, label in enumerate(labels)]  # fmt: skip
        n = here[labels[0], columns[0]]["n"]
        panels.append(BarPanel(f"{group or 'all'}, n = {n:,}", columns, "accuracy (%)", series, 100 * models[0].chance))
    note = f"Tiles in a random order. Study “{job.params['study']}”.\n{bars_note(len(models[0].metrics))}."
    draw_bar_panels(panels, note, job.outputs["picture"])
