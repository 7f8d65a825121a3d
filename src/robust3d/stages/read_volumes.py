"""Reads a block of a class's volumes from disk; broken ones are left out and named."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from robust3d import registry
from robust3d.data.published.files import noting_files
from robust3d.data.published.identity import check_unchanged, write_checksums
from robust3d.data.published.members import members, read_inventory
from robust3d.data.published.volumes import BrokenVolume
from robust3d.data.volume_shards import write_volumes
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `volumes`, its `manifest` entry, and checksums of the `sources`."""
    family = registry.load("family", job.params["kind"])
    params, name = parse(family.Params, job.params["source"]), job.params["class_name"]
    here = members(read_inventory(job.input("inventory")), name, *job.params["block"])
    left_out: dict[str, str] = {}

    def objects() -> Iterator[tuple[str, np.ndarray]]:
        for instance, entry in here.items():
            check_unchanged(params.path, entry)
            try:
                yield instance, family.read_volume(params, entry)[None]
            except BrokenVolume as error:
                left_out[instance] = str(error)
                print(f"left out: {error}", file=sys.stderr)

    with noting_files() as read:
        entry = write_volumes(job.outputs["volumes"], {name: objects()}, params.resolution)
    job.write_json("manifest", entry | {"turns": 1, "left_out": left_out})
    write_checksums(read, params.path, job.outputs["sources"])
    job.notes.update(objects=len(here), left_out=left_out)
