"""One picture a class of a rendered family."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

BLACK = 0


def sources(plan: "Plan", section: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The family that the paper's section calls its gallery."""
    inputs, bulk = plan.views(section.gallery)
    return {"study": plan.study.study}, inputs, bulk


def draw_gallery(job: "Context", codes: list[str], labels: list[str], columns: int) -> None:
    """Write the picture: the first view of each code's first instance on black, `columns` to a row."""
    import numpy as np  # planning imports this module and needs none of these

    from robust3d.data.compositing import compose
    from robust3d.data.manifest import Views
    from robust3d.data.pictures import sheet

    views = Views.read(job.input("views"))
    frames = views.frames(list(views.splits))
    pictures = []
    for code in codes:
        index = int(np.flatnonzero((frames.class_name == code) & (frames.view == frames.view.min()))[0])
        pictures.append(compose(frames.rgba[index], BLACK))
    starts = range(0, len(codes), columns)
    rows, words = [pictures[i : i + columns] for i in starts], [labels[i : i + columns] for i in starts]
    sheet(rows, cell_labels=words).save(job.outputs["picture"], "PNG")
