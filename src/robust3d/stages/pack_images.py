"""Reads or computes the pictures of one block of a set and stores them as pixels of one size."""

import sys
from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.data.packed import block_of, write_block
from robust3d.data.published.files import noting_files
from robust3d.data.published.identity import check_same, write_checksums
from robust3d.data.sets import read_set
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

_SHOWN = 10  # pictures that are listed on the screen


def run(job: "Context") -> None:
    """Write `images`, their `manifest` entry, and checksums of the `sources` (empty for computed pictures)."""
    set_params, (block, shards) = job.params["set"], job.params["block"]
    module = registry.load("set", set_params["kind"])
    params = parse(module.Params, set_params)
    if "data_on_disk" in job.params:
        check_same(params.path, job.params["data_on_disk"], module.identity(params))
    table = read_set(job.input("set"))
    rows = list(table[block_of(table, shards) == block].itertuples(index=False))
    with noting_files() as read:
        read_picture = module.picture_reader(params, job.params["seed"])
        depth_reader = getattr(module, "depth_reader", None)
        read_depth = depth_reader(params, [row.instance for row in rows]) if depth_reader else None
        entry = write_block(job.outputs["images"], rows, read_picture, params, read_depth)
    job.write_json("manifest", entry)
    write_checksums(read, getattr(params, "path", ""), job.outputs["sources"])
    job.notes.update(images=len(rows) - len(entry["left_out"]), left_out=entry["left_out"])
    for name, why in list(entry["left_out"].items())[:_SHOWN]:
        print(f"left out: {name}: {why}", file=sys.stderr)
