"""Reads a block of a class's published views from disk into one shard."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robust3d import registry
from robust3d.data.blank import BlankViews
from robust3d.data.frame import Frame
from robust3d.data.published.files import noting_files
from robust3d.data.published.identity import check_unchanged, write_checksums
from robust3d.data.published.members import members, read_inventory
from robust3d.data.shards import write_shard
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

_SHOWN = 10  # notes that are printed


def run(job: "Context") -> None:
    """Write `views`, its `manifest` entry, and checksums of the `sources`."""
    family = registry.load("family", job.params["kind"])
    params = parse(family.Params, job.params["source"])
    here = members(read_inventory(job.input("inventory")), job.params["class_name"], *job.params["block"])

    notes: list[str] = []
    blank = BlankViews(params.blank_views)

    def frames() -> Iterator[Frame]:
        for name, entry in here.items():
            check_unchanged(params.path, entry)
            yield from family.read_views(params, name, entry, notes.append, blank)

    with noting_files() as read:
        entry = write_shard(
            job.outputs["views"],
            frames(),
            class_name=job.params["class_name"],
            resolution_px=params.resolution_px,
            extent=family.extent(params),
        )
    job.write_json("manifest", entry | blank.entry())
    write_checksums(read, params.path, job.outputs["sources"])
    job.notes.update(objects=len(here), notes_on_objects={"count": len(notes), "first": notes[:_SHOWN]})
    job.notes.update(blank.entry())
    for text in notes[:_SHOWN]:
        print(f"note: {text}", file=sys.stderr)
    if len(notes) > _SHOWN:
        print(f"note: {len(notes) - _SHOWN:,} more notes on objects of this block", file=sys.stderr)
