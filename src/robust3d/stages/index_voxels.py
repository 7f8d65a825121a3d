"""Gathers the volumes of a voxel set into its manifest and divides its objects into train, validation and test."""

import json
from typing import TYPE_CHECKING

from robust3d.data.faults import Faults, gather_faults
from robust3d.data.voxel_sets import Voxels
from robust3d.errors import UserError
from robust3d.stages.index_views import divided

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write the `manifest`."""
    params = job.params
    entries = [(path, json.loads(path.read_text())) for path in job.inputs["volumes"]]
    faults: Faults = {}
    left_out: dict[str, str] = {}
    for _, entry in entries:
        (name,) = entry["classes"]
        gather_faults(faults, name, entry)
        left_out |= {f"{name}/{instance}": why for instance, why in entry["left_out"].items()}
    entries = [(path, entry) for path, entry in entries if entry["volumes"]]  # blocks of a published class may be empty
    held = {(name, instance) for _, entry in entries for name, ids in entry["classes"].items() for instance in ids}
    for name in params["classes"]:
        if not any(name == its_class for its_class, _ in held):
            raise UserError(f"{params['name']}: not one sound object of class {name}; see what its jobs left out")
    keys = ("classes", "sha256", "bytes")
    Voxels(
        name=params["name"],
        classes=tuple(params["classes"]),
        resolution=entries[0][1]["resolution"],
        turns=entries[0][1]["turns"],
        splits=divided(job, sorted({instance for _, instance in held})),
        files=tuple(
            {"path": str(path.with_name("volumes.h5")), **{k: entry[k] for k in keys}} for path, entry in entries
        ),
        left_out=left_out,
        faults=faults,
    ).write(job.outputs["manifest"])
