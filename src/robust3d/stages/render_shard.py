"""Renders a block of instances of one class from all its views with Blender into one shard."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from robust3d import cameras
from robust3d.data.shards import write_shard
from robust3d.rendering.params import RenderParams
from robust3d.rendering.pool import render_instances
from robust3d.shapes.store import load_meshes
from robust3d.study.parsing import parse

if TYPE_CHECKING:
    import numpy as np

    from robust3d.provenance.runner import Context
    from robust3d.shapes.mesh import Mesh


def run(job: "Context") -> None:
    """Write `views` and its `manifest` entry."""
    told = job.params
    camera = parse(cameras.CameraParams, told["cameras"])
    render = parse(RenderParams, told["render"])
    meshes = load_meshes(job.input("shapes"), told["instances"])

    def requests() -> Iterator[tuple[str, "Mesh", "np.ndarray"]]:
        for instance, mesh in meshes.items():
            yield instance, mesh, cameras.poses(camera, told["seed"], instance)

    frames = render_instances(
        requests(),
        cameras.intrinsics(camera, render.resolution_px),
        render,
        told["seed"],
        told["class_name"],
        job.threads,
    )
    entry = write_shard(
        job.outputs["views"],
        frames,
        class_name=told["class_name"],
        resolution_px=render.resolution_px,
        extent=told["extent"],
    )
    job.write_json("manifest", entry)
