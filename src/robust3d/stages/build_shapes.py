"""Builds and checks the meshes of one class and stores them; equal arrays are stored once."""

from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.parsing import parse
from robust3d.shapes.store import save_meshes

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `shapes` and a `manifest` with the sha256 and the size of every instance's mesh."""
    family = registry.load("family", job.params["kind"])
    params = parse(family.Params, job.params["shapes"])
    seed, class_name = job.params["seed"], job.params["class_name"]
    meshes = {name: family.build(params, seed, class_name, name) for name in family.instance_ids(params, seed)}
    save_meshes(meshes, job.outputs["shapes"], job.outputs["manifest"])
