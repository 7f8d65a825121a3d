"""Reads a block of a class's meshes from disk; broken ones are left out and named, faults of others noted."""

import sys
from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.data.faults import faults_entry
from robust3d.data.published.files import noting_files
from robust3d.data.published.identity import check_unchanged, write_checksums
from robust3d.data.published.members import members, read_inventory
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.parsing import parse
from robust3d.shapes.store import save_meshes

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context
    from robust3d.shapes.mesh import Mesh


def run(job: "Context") -> None:
    """Write `shapes`, a `manifest` with the sha256 and the size of every mesh, and checksums of the `sources`."""
    family = registry.load("family", job.params["kind"])
    params = parse(family.Params, job.params["source"])
    here = members(read_inventory(job.input("inventory")), job.params["class_name"], *job.params["block"])
    meshes: dict[str, Mesh] = {}
    broken: dict[str, str] = {}
    with noting_files() as read:
        for name, entry in here.items():
            check_unchanged(params.path, entry)
            try:
                meshes[name] = family.read_mesh(params, entry)
            except BrokenMesh as error:
                broken[name] = str(error)
                print(f"left out: {error}", file=sys.stderr)
                continue
            for fault in meshes[name].faults:
                print(f"note: {name}: {fault}", file=sys.stderr)
    write_checksums(read, params.path, job.outputs["sources"])
    job.notes.update(meshes=len(meshes), left_out=broken)
    job.notes.update(faults_entry({name: mesh.faults for name, mesh in meshes.items()}))
    save_meshes(meshes, job.outputs["shapes"], job.outputs["manifest"])
