"""Figure 3: observed shapes, synthesised ones, and below each of these its nearest training shape."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import Sources
from robust3d.papers.winn3d import judged
from robust3d.papers.winn3d.compared import STAND_IN
from robust3d.papers.winn3d.generators import Kind, generated

if TYPE_CHECKING:
    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

KIND: Kind = "separate-multi"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: of the first seed the generators of a category, how they were judged, and the voxels."""
    job_params, inputs, _ = judged.sources(plan, section)
    found, first, key = Sources(plan), job_params["seeds"][0], section.figure3.generator
    jobs = generated(plan, section, key, KIND, plan.study.training_seeds[0])
    names = [found.add(job, "generated") for job in jobs]
    voxels, bulk = plan.voxels(section.voxels)
    of_judge = {name: files for name, files in inputs.items() if name == f"outcomes:{first}"}
    figure_params = {
        "study": plan.study.study,
        "seeds": [first],
        "set": f"{key}-{KIND}",
        "label": section.generators[key].label,
        "generated": names,
        "samples": section.figure3.samples,
        "stand_ins": job_params["kind"] == "categories",
    }
    return figure_params, {**voxels, **of_judge, **found.inputs}, bulk


def write(job: "Context") -> None:
    """Write the picture: three rows a category; colours tell what is observed, synthesised, a neighbour."""
    from robust3d.data.generated import read_generated  # planning imports this module and needs none of these
    from robust3d.data.voxel_sets import open_voxels
    from robust3d.figures.voxel_sheet import voxel_sheet

    train = open_voxels(job.input("voxels"), "train")
    (outcomes,) = judged.read_outcomes(job)
    nearest = outcomes[outcomes["set"] == job.params["set"]].sort_values("row")["nearest"].to_numpy()
    rows: list[tuple[str, str, Any]] = []
    notes, first = [], 0
    for name in job.params["generated"]:
        file = read_generated(job.named("generated", name))
        category = file.facts["category"]
        count = min(job.params["samples"], len(file))
        real = train.of_class(category)
        observed = real.volumes(_spread(len(real), count))[:, 0].numpy()
        rows.append((f"{category}\nobserved", "observed", observed))
        rows.append(("synthesised", "generated", file.volumes(slice(count))))
        neighbours = train.volumes(nearest[first : first + count])[:, 0].numpy()
        rows.append(("nearest\nneighbour", "neighbour", neighbours))
        first += len(file)
        if file.facts["collapse"]:
            notes.append(f"{category} collapsed: {file.facts['collapse']}")
    if job.params["stand_ins"]:
        notes.append(f"Stand-ins: {STAND_IN}.")
    notes.insert(0, f"Study “{job.params['study']}”, {job.params['label']}, one model a category.")
    longest = max(len(volumes) for _, _, volumes in rows)
    empty = np.zeros((1, *(train.resolution,) * 3), np.uint8)
    filled = [(label, colour, [*volumes, *empty.repeat(longest - len(volumes), 0)]) for label, colour, volumes in rows]
    voxel_sheet(filled, note="\n".join(notes)).save(job.outputs["picture"], "PNG")


def _spread(count: int, wanted: int) -> list[int]:
    """Numbers of volumes, evenly spaced."""
    return [int(place) for place in np.linspace(0, count - 1, wanted).round()]
