"""Table 3: accuracy on distorted images, of those that the compared models get right undistorted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.reported import TABLE3, TABLE3_COLUMNS
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    import numpy as np

    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

COLUMNS = {  # of the table, and the probe's names; the last is not in the paper's
    "Adversarial": "adversarial",
    "Scrambled": "scrambled_",
    "Stylised": "stylised",
    "B&W": "black_and_white",
    "Silhouette": "silhouette",
    "Noise": "noise",
}


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return compared.sources(plan, section, section.distortions)


def write(job: "Context") -> None:
    """One row a model; columns whose distortion the probe was not asked for are left out."""
    cells = [cell for models in compared.beside_peers(compared.read(job)) for cell in row(job, *models)]
    caption = (
        "Accuracy (%) on distorted images, of those that all compared models, of every seed, get right as they are. "
        "Scrambled is the mean over the numbers of tiles. Noise is not in the paper's table."
    )
    write_table(job, text_table(cells, "network"), caption, cells)


def row(
    job: "Context", model: compared.Compared, peers: Sequence[compared.Compared], kept: "np.ndarray"
) -> list[dict[str, Any]]:
    """The cells of one model; arguments as of `compared.share_cell`."""
    cells = []
    there = sorted(model.metrics[0]["accuracy"])
    kinds = {"Real": [compared.CLEAN]}
    kinds |= {column: [name for name in there if name.startswith(start)] for column, start in COLUMNS.items()}
    for column, names in kinds.items():
        if not names:
            continue
        cell = compared.share_cell(job, model, peers, kept, names)
        cell["made"] = {name: facts for name, facts in model.metrics[0]["made"].items() if name in names}
        if column == "Real":
            cell["images"] = [name for name, right in zip(model.names, kept, strict=True) if right]
        number = TABLE3.get(model.printed or "") if column in TABLE3_COLUMNS else None
        value = number[TABLE3_COLUMNS.index(column)] if number else None
        cell["printed"] = compared.printed_beside(job, model, str(model.printed), value)
        if column == "B&W" and (blank := model.metrics[0]["blank_black_and_white"]):
            cell["flags"].append(f"{blank} of the {len(kept)} tested images are black or white all over")
        cells.append({"row": model.label, "column": column, **cell})
    return cells
