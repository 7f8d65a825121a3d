"""Figure 3: example images of the study's classification sets."""

from typing import TYPE_CHECKING, Any

from robust3d.data.params import SetParams
from robust3d.study.parsing import parse

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

EXAMPLES = 13  # classes alternate in a set, so these are of different classes


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The sets named under `papers.geon3d.figure3`, each with its family's views."""
    told: dict[str, Any] = {"study": plan.study.study, "sets": []}
    inputs: dict[str, Any] = {}
    bulk: dict[str, Any] = {}
    for name in section.figure3:
        files, shards = plan.set_inputs(name)
        told["sets"].append({"name": name, "set": plan.set_params(name)})
        inputs |= {f"{key}_{name}": value for key, value in files.items()}
        bulk |= {f"{key}_{name}": value for key, value in shards.items()}
    return told, inputs, bulk


def write(job: "Context") -> None:
    """One row a set: its first test images."""
    from robust3d.data.images import load_images  # planning imports this module and needs none of these
    from robust3d.data.pictures import sheet

    rows, labels, classes = [], [], []
    for told in job.params["sets"]:
        name = told["name"]
        files = job.input(f"set_{name}"), job.input(f"views_{name}"), job.optional(f"textures_{name}")
        images, _, table = load_images(*files, parse(SetParams, told["set"]), "test")
        rows.append(list(images[:EXAMPLES].permute(0, 2, 3, 1).numpy()))
        classes.append(table["class_name"][:EXAMPLES].tolist())
        labels.append(name)
    sheet(rows, row_labels=labels, cell_labels=classes).save(job.outputs["picture"], "PNG")
