"""Figure 3: example images of the study's classification sets."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

EXAMPLES = 13  # classes alternate in a set, so these are of different classes
_SIDE_PX = 96  # of an image in the picture, or more if one is larger


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the sets of `papers.geon3d.figure3`, with their families' views."""
    inputs, bulk = plan.named_sets({name: name for name in section.figure3})
    sets = [{"name": name, "set": plan.set_params(name)} for name in section.figure3]
    return {"study": plan.study.study, "sets": sets}, inputs, bulk


def write(job: "Context") -> None:
    """One row a set: its first test images."""
    from robust3d.data.images import open_set  # not at the top: planning imports this module
    from robust3d.data.pictures import sheet

    rows, labels, classes = [], [], []
    for entry in job.params["sets"]:
        name = entry["name"]
        images = open_set(entry["set"], job.inputs, "test", name)
        shown = images.batch(range(min(EXAMPLES, len(images))))
        rows.append(shown.permute(0, 2, 3, 1).numpy())
        classes.append([one.replace("_", "\n") for one in images.rows["class_name"][:EXAMPLES]])
        labels.append(f"{name}\n{shown.shape[-1]} px")
    side = max(_SIDE_PX, *(row.shape[1] for row in rows))
    note = "Test images as the networks see them, pixel by pixel."
    drawn = sheet([list(enlarged(row, side)) for row in rows], side, labels, classes, note)
    drawn.save(job.outputs["picture"], "PNG")


def enlarged(images: "NDArray[np.uint8]", side: int) -> "NDArray[np.uint8]":
    """Images (n, h, h, 3) enlarged by the largest whole factor that fits, in the middle of white ones of a side."""
    import numpy as np  # not at the top: planning imports this module

    factor = side // images.shape[1]
    found = images.repeat(factor, axis=1).repeat(factor, axis=2)
    before = (side - found.shape[1]) // 2
    around = (before, side - found.shape[1] - before)
    return np.pad(found, ((0, 0), around, around, (0, 0)), constant_values=255)
