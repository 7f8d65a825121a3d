"""Figure 3: example images of the study's classification sets."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

EXAMPLES = 13  # classes alternate in a set, so these are of different classes


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
        rows.append(list(shown.permute(0, 2, 3, 1).numpy()))
        classes.append([one.replace("_", "\n") for one in images.rows["class_name"][:EXAMPLES]])
        labels.append(f"{name}\n{shown.shape[-1]} px")
    note = "Test images as the networks see them, every pixel enlarged."
    sheet(rows, row_labels=labels, cell_labels=classes, note=note).save(job.outputs["picture"], "PNG")
