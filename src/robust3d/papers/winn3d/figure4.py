"""Figure 4: pseudo-negatives of some classes over the iterations of supervised training."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import Sources
from robust3d.papers.winn3d.compared import STAND_IN

if TYPE_CHECKING:
    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the pseudo-negatives of the paper's supervised training, of the first seed."""
    from robust3d.study.voxel_jobs import train_voxels  # for planning; writing needs none of it

    study, key, found = plan.study, section.introspective, Sources(plan)
    job = train_voxels(plan, section.voxels, key, section.training(study, key), study.training_seeds[0])
    job_params = {
        "study": study.study,
        "negatives": found.add(job, "negatives", "info"),
        "label": section.trainings[key].label,
        "categories": list(section.figure4.categories or section.categories),
        "steps": section.figure4.steps,
        "stand_ins": study.voxels[section.voxels].kind == "categories",
    }
    return job_params, found.inputs, {}


def write(job: "Context") -> None:
    """Write the picture: a row a class, a column an iteration, the noise first."""
    from robust3d.data.negatives import last_iteration, read_negatives  # planning needs none of these
    from robust3d.figures.voxel_sheet import voxel_sheet

    name = job.params["negatives"]
    info = json.loads(job.named("info", name).read_text(encoding="utf-8"))
    path, categories = job.named("negatives", name), job.params["categories"]
    last = last_iteration(path)
    steps = sorted({int(step) for step in np.linspace(0, last, job.params["steps"]).round()})
    rows: list[list[Any]] = [[] for _ in categories]
    for step in steps:
        found = read_negatives(path, range(step, step + 1))
        for row, category in zip(rows, categories):
            (places,) = np.nonzero(found.labels == info["classes"].index(category))
            empty = np.zeros(found.volumes.shape[1:], bool)
            row.append(found.volumes[places[0]] > 0.5 if len(places) else empty)
    each = info["training"]["critic_steps"]
    labels = ["noise" if step == 0 else f"step {step * each:,}\niteration {step}" for step in steps]
    notes = [f"Study “{job.params['study']}”: pseudo-negatives of the supervised training of {job.params['label']},"]
    notes.append("filled above 0.5; the noise at the start is cut in the same way.")
    if info["collapse"]:
        notes.append(f"The training collapsed: {info['collapse']}")
    if job.params["stand_ins"]:
        notes.append(f"Stand-ins: {STAND_IN}.")
    sheet_rows = [(category, "generated", row) for category, row in zip(categories, rows)]
    sheet = voxel_sheet(sheet_rows, cell_labels=[labels] * len(rows), note="\n".join(notes))
    sheet.save(job.outputs["picture"], "PNG")
