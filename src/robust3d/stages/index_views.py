"""Gathers the shards of a family into its manifest and divides its instances into train, validation and test."""

import json
import sys
from typing import TYPE_CHECKING

from robust3d.data.blank import BlankViews
from robust3d.data.faults import Faults, gather_faults
from robust3d.data.manifest import Shard, Views, held_by
from robust3d.data.params import SPLITS, SplitParams
from robust3d.data.published.members import published_splits, read_inventory, split_groups
from robust3d.data.splits import split_instances
from robust3d.errors import UserError
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write the `manifest`."""
    params = job.params
    entries = [(path, json.loads(path.read_text())) for path in job.inputs["shards"]]
    blank = BlankViews("skip")
    faults: Faults = {}
    for _, entry in entries:
        owner = "" if entry.get("whole_names") else "/".join(held_by(entry))
        blank.gather(owner, entry)
        gather_faults(faults, owner, entry)
    entries = [(path, entry) for path, entry in entries if entry["frames"]]  # blocks of a published class may be empty
    for path, entry in entries:  # sets are drawn from all (instance, view) pairs, so none may be missing
        objects = sum(map(len, held_by(entry).values()))
        if entry["frames"] != objects * params["views"]:
            raise UserError(
                f"{path}: {entry['frames']} frames of {objects} instances, but views: {params['views']} "
                "of each belong to this family; its reader has to give as many of every instance"
            )
    shards = [
        Shard(
            path=str(path.with_name("views.h5")),
            instances={name: ids for name, ids in held_by(entry).items() if ids},
            sha256=entry["sha256"],
            bytes=entry["bytes"],
        )
        for path, entry in entries
    ]
    instances = sorted({instance for shard in shards for ids in shard.instances.values() for instance in ids})
    for name in params["classes"]:
        if not any(name in shard.instances for shard in shards):
            why = "; ".join(blank.notices(params["family"])) or "see what its jobs left out"
            raise UserError(f"{params['family']}: not one sound object of class {name}; {why}")
    found = Views(
        family=params["family"],
        classes=tuple(params["classes"]),
        views=params["views"],
        resolution_px=params["resolution_px"],
        extent=params["extent"],
        splits=divided(job, instances),
        shards=tuple(sorted(shards, key=lambda shard: shard.path)),
        blank=blank if blank.views else None,
        faults=faults or None,
    )
    for notice in found.notices():  # counts and names what could not be read
        print(f"note: {notice}", file=sys.stderr)
    found.write(job.outputs["manifest"])


def divided(job: "Context", instances: list[str]) -> dict[str, tuple[str, ...]]:
    """Train, validation and test: drawn or as published; a single part "all" for a family without a split."""
    split, groups = job.params["split"], job.params["groups"]
    if split is None:
        return {"all": tuple(instances)}
    if "inventory" in job.inputs and split["mode"] != "random":
        inventory, seed, there = read_inventory(job.input("inventory")), job.params["seed"], set(instances)
        if split["mode"] == "published":
            found = published_splits(inventory, seed, there)
        else:
            found = split_groups(inventory, parse(SplitParams, split), seed, there)
        return {name: tuple(i for i in instances if i in found[name]) for name in SPLITS}
    by_group, settings = groups.__getitem__ if groups else None, parse(SplitParams, split)
    if settings.parts is None:
        return split_instances(instances, settings, job.params["seed"], by_group)
    every = split_instances(job.params["every_instance"], settings, job.params["seed"], by_group)
    return {name: tuple(i for i in every[name] if i in set(instances)) for name in SPLITS}
