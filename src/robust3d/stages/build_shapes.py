"""Builds the meshes of one class, or of all classes of a family, and stores them; equal arrays are stored once."""

from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.parsing import parse
from robust3d.shapes.store import save_meshes

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `shapes` and a `manifest` with the sha256 and the size of every instance's mesh.

    Meshes of all classes of a family are called `class/instance`.
    """
    family = registry.load("family", job.params["kind"])
    params = parse(family.Params, job.params["shapes"])
    seed, class_name = job.params["seed"], job.params["class_name"]
    if hasattr(family, "build_all"):
        meshes, notes = family.build_all(params, seed)
        job.notes.update(notes)
    else:
        meshes = {name: family.build(params, seed, class_name, name) for name in family.instance_ids(params, seed)}
    save_meshes(meshes, job.outputs["shapes"], job.outputs["manifest"])
