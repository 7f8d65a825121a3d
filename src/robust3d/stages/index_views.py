"""Gathers the shards of a family into its manifest and divides its instances into train, validation and test."""

import json
from typing import TYPE_CHECKING

from robust3d.data.manifest import Shard, Views
from robust3d.data.params import SplitParams
from robust3d.data.splits import split_instances
from robust3d.study.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write the `manifest`."""
    told = job.params
    entries = [(path, json.loads(path.read_text())) for path in job.inputs["shards"]]
    shards = [
        Shard(
            path=str(path.with_name("views.h5")),
            class_name=entry["class"],
            instances=tuple(entry["instances"]),
            sha256=entry["sha256"],
            bytes=entry["bytes"],
        )
        for path, entry in entries
    ]
    instances = sorted({instance for shard in shards for instance in shard.instances})
    groups, splits = told["groups"], {"all": tuple(instances)}
    if told["split"] is not None:
        split = parse(SplitParams, told["split"])
        splits = split_instances(instances, split, told["seed"], groups.__getitem__ if groups else None)
    Views(
        family=told["family"],
        classes=tuple(told["classes"]),
        views=told["views"],
        resolution_px=told["resolution_px"],
        extent=told["extent"],
        splits=splits,
        shards=tuple(sorted(shards, key=lambda shard: shard.path)),
    ).write(job.outputs["manifest"])
