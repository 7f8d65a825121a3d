"""One picture a class of a rendered family."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.shapes.codes import AXES, NAMES, SECTIONS, SWEEPS, TERMINATIONS

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

WHITE = 255


def _values(feature: dict[str, tuple[str, str]]) -> str:
    return ", ".join(f"{letters} {meaning}" for letters, (_, meaning) in feature.items())


LEGEND = (
    "Code: axis_section_sweep_termination.\n"
    f"Axis: {_values(AXES)}. Section: {_values(SECTIONS)}. Sweep: {_values(SWEEPS)}.\n"
    f"Termination: {_values({key: TERMINATIONS[key] for key in ('t', 'p', 'c')})}, "
    "c-inc at the large end, c-dec at the small end, na truncated ends of a constant sweep."
)


def sources(plan: "Plan", section: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The family that the paper's section calls its gallery."""
    inputs, bulk = plan.views(section.gallery)
    return {"study": plan.study.study}, inputs, bulk


def draw_gallery(job: "Context", codes: list[str], columns: int, row_labels: Sequence[str] = ()) -> None:
    """Write the picture: the first view of each code's first instance on white, `columns` to a row."""
    import numpy as np  # planning imports this module and needs none of these

    from robust3d.data.compositing import compose
    from robust3d.data.manifest import Views
    from robust3d.data.pictures import sheet

    views = Views.read(job.input("views"))
    frames = views.frames(list(views.splits))
    pictures = []
    for code in codes:
        index = int(np.flatnonzero((frames.class_name == code) & (frames.view == frames.view.min()))[0])
        pictures.append(compose(frames.rgba[index], WHITE))
    starts = range(0, len(codes), columns)
    labels = [f"{code}\n{readable_name(code)}" for code in codes]
    rows, words = [pictures[i : i + columns] for i in starts], [labels[i : i + columns] for i in starts]
    sheet(rows, row_labels=row_labels, cell_labels=words, note=LEGEND).save(job.outputs["picture"], "PNG")


def readable_name(code: str) -> str:
    """The name that the paper gives to a geon, if it gives one."""
    return next((name.replace("_", " ") for name, known in NAMES.items() if known == code), "")
