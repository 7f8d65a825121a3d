"""Makes volumes of the meshes in one file: the voxels that their surfaces touch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from robust3d.data.faults import faults_entry
from robust3d.data.volume_shards import write_volumes
from robust3d.parsing import parse
from robust3d.shapes.store import load_meshes
from robust3d.shapes.voxels import VoxelParams, voxelise

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `volumes` and its `manifest` entry."""
    params, name = parse(VoxelParams, job.params["voxels"]), job.params["class_name"]
    prefix, found = job.params["prefix"], load_meshes(job.input("shapes"))  # a class in a file of several
    meshes = {key.removeprefix(prefix): mesh for key, mesh in found.items() if key.startswith(prefix)}

    def objects() -> Iterator[tuple[str, np.ndarray]]:
        for instance, mesh in meshes.items():
            yield instance, voxelise(mesh.vertices, mesh.faces, params, job.params["seed"], name, instance)

    entry = write_volumes(job.outputs["volumes"], {name: objects()}, params.resolution)
    faults = faults_entry({instance: mesh.faults for instance, mesh in meshes.items()})
    job.write_json("manifest", entry | {"turns": params.rotations, "left_out": {}} | faults)
