"""Renders a block of instances of one class from all its views with Blender into one shard.

Frames of earlier shards of the same code are copied if mesh and pose are equal, because a pixel does not depend on the
shard. So after adding views or instances, or changing the blocks, only new frames are rendered.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d import cameras
from robust3d.data.blank import BlankViews, without_blank
from robust3d.data.faults import faults_entry
from robust3d.data.frame import Frame
from robust3d.data.shards import read_frames, write_shard
from robust3d.parsing import parse
from robust3d.rendering.journal import Journal
from robust3d.rendering.params import RenderParams
from robust3d.rendering.pool import render_instances
from robust3d.shapes.store import load_meshes, mesh_digest

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context
    from robust3d.shapes.mesh import Mesh

Place = tuple[str, int]  # instance, view


def run(job: "Context") -> None:
    """Write `views` and its `manifest` entry."""
    params = job.params
    camera = parse(cameras.CameraParams, params["cameras"])
    render = parse(RenderParams, params["render"])
    meshes = load_meshes(job.input("shapes"), params["instances"])  # None: all valid meshes of the file
    digests = {instance: mesh_digest(mesh) for instance, mesh in meshes.items()}
    poses = {instance: cameras.poses(camera, params["seed"], instance) for instance in meshes}
    journal = Journal(job.progress, params["class_name"], render.resolution_px)
    earlier = rendered_before(job, digests, poses)
    held = earlier | journal.held()
    job.notes.update(frames_copied=len(earlier), frames_rendered=len(meshes) * camera.views - len(earlier))
    if len(held) > len(earlier):
        print(f"going on after {len(held) - len(earlier)} frames", file=sys.stderr)

    def requests() -> Iterator[tuple[str, "Mesh", np.ndarray]]:
        for instance, mesh in meshes.items():
            yield instance, mesh, poses[instance]

    rendered = render_instances(
        requests(),
        cameras.intrinsics(camera, render.resolution_px),
        render,
        params["seed"],
        params["class_name"],
        job.threads,
        held.keys(),
    )
    blank = BlankViews(render.blank_views)
    try:
        entry = write_shard(
            job.outputs["views"],
            without_blank(merged(list(meshes), camera.views, held, journal.keep(rendered)), blank),
            class_name=params["class_name"],
            resolution_px=render.resolution_px,
            extent=params["extent"],
        )
    except SystemExit:
        journal.save()
        raise
    for notice in blank.notices(params["class_name"]):
        print(f"note: {notice}", file=sys.stderr)
    job.notes.update(blank.entry())
    meshes_shown = {instance: digests[instance] for instance in entry["instances"]}
    faults = faults_entry({instance: meshes[instance].faults for instance in entry["instances"]})
    job.write_json("manifest", entry | {"meshes": meshes_shown} | blank.entry() | faults)


def rendered_before(job: "Context", digests: dict[str, str], poses: dict[str, np.ndarray]) -> dict[Place, Path]:
    """Earlier shards with frames of this one: equal mesh, pose, view and other parameters that affect a pixel."""
    held: dict[Place, Path] = {}
    for other in job.alike():
        if _look(other.params) != _look(job.params) or not other.is_whole("manifest"):
            continue
        camera = parse(cameras.CameraParams, other.params["cameras"])
        same: list[Place] = []
        for instance, digest in json.loads(other.output("manifest").read_text())["meshes"].items():
            if digests.get(instance) != digest:
                continue
            theirs = cameras.poses(camera, other.params["seed"], instance)
            pairs = enumerate(zip(theirs, poses[instance], strict=False))
            same += [(instance, view) for view, (pose, mine) in pairs if np.array_equal(pose, mine)]
        views = job.borrow(other, "views") if any(place not in held for place in same) else None
        if views is not None:
            held = dict.fromkeys(same, views) | held
    return held


def _look(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters that affect a pixel besides mesh, pose and view; the extent is only written into the file."""
    rest = {name: value for name, value in params.items() if name not in ("instances", "extent")}
    for part, other in (("cameras", "views"), ("render", "blank_views")):
        rest[part] = {name: value for name, value in params[part].items() if name != other}
    return rest


def merged(instances: list[str], views: int, held: dict[Place, Path], rendered: Iterator[Frame]) -> Iterator[Frame]:
    """All frames in order: `held` frames, read from their shards one instance at a time, and rendered ones."""
    for instance in instances:
        files = {held[instance, view] for view in range(views) if (instance, view) in held}
        copies = {(file, frame.view): frame for file in sorted(files) for frame in read_frames(file, {instance})}
        for view in range(views):
            place = (instance, view)
            yield copies[held[place], view] if place in held else next(rendered)
    assert next(rendered, None) is None, "more frames were rendered than asked for"
