"""Figures 1 to 3: sheets of examples of a data set, a row for each class."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CLASSES, EACH = 10, 10


def sources(plan: "Plan", section: "Section", figure: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The set of a figure, with its files."""
    key = section.figures[figure]
    inputs, bulk = plan.set_inputs(key)
    return {"study": plan.study.study, "name": key, "set": plan.set_params(key)}, inputs, bulk


def write(job: "Context") -> None:
    """The first training images of the first classes."""
    from robust3d.data.images import open_set  # not at the top: planning imports this module
    from robust3d.data.pictures import sheet

    images = open_set(job.params["set"], job.inputs, "train", resident_bytes=0)
    rows, labels = [], []
    for label, name in enumerate(images.classes[:CLASSES]):
        places = (images.labels == label).nonzero()[:EACH, 0]
        rows.append(list(images.batch(places).permute(0, 2, 3, 1).numpy()))
        labels.append(name)
    note = f"{job.params['name']}: {len(images.classes)} classes, {images.resolution_px} px, every pixel enlarged."
    sheet(rows, 64, labels, note=note).save(job.outputs["picture"], "PNG")
