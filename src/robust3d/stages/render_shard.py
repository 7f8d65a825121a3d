"""Renders a block of instances of one class, or of some, from all its views with Blender into one shard.

Frames of earlier shards of the same code are copied if mesh and pose are equal, because a pixel does not depend on the
shard. So after adding views or instances, or changing the blocks, only new frames are rendered.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d import cameras
from robust3d.data.blank import BlankViews, without_blank
from robust3d.data.faults import faults_entry
from robust3d.data.frame import Frame
from robust3d.data.manifest import held_by
from robust3d.data.shards import read_frames, write_classes
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
    meshes = load_meshes(job.input("shapes"), wanted(params))
    digests = {instance: mesh_digest(mesh) for instance, mesh in meshes.items()}
    poses = {name: poses_of(camera, params, name) for name in meshes}
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
        frames = without_blank(merged(list(meshes), camera.views, held, journal.keep(rendered)), blank)
        entry = write_classes(
            job.outputs["views"],
            by_class(frames, params["classes"]) if "classes" in params else {params["class_name"]: frames},
            resolution_px=render.resolution_px,
            extent=params["extent"],
        )
    except SystemExit:
        journal.save()
        raise
    for notice in blank.notices(params["class_name"]):
        print(f"note: {notice}", file=sys.stderr)
    job.notes.update(blank.entry())
    shown = [object_name(name, one, params) for name, ids in held_by(entry).items() for one in ids]
    faults = faults_entry({name: meshes[name].faults for name in shown})
    whole = {"whole_names": True} if "classes" in params else {}
    entry |= {"meshes": {name: digests[name] for name in shown}} | whole
    job.write_json("manifest", entry | blank.entry() | faults)


def wanted(params: dict[str, Any]) -> list[str] | None:
    """The names of the objects to render; None: all valid meshes of the file."""
    if "classes" not in params:
        return list(params["instances"]) if params["instances"] is not None else None
    return [f"{name}/{instance}" for name in params["classes"] for instance in params["instances"]]


def object_name(class_name: str, instance: str, params: dict[str, Any]) -> str:
    """What an object is called among the meshes: with its class, where the file has several."""
    return f"{class_name}/{instance}" if "classes" in params else instance


def poses_of(camera: cameras.CameraParams, params: dict[str, Any], name: str) -> np.ndarray:
    """World-to-camera matrices (V, 4, 4) of an object."""
    class_name, instance = name.split("/", 1) if "classes" in params else (params["class_name"], name)
    return cameras.poses(camera, params["seed"], instance, class_name)


def by_class(frames: Iterator[Frame], classes: list[str]) -> dict[str, Iterator[Frame]]:
    """The frames of each class, to be taken in this order; names of objects lose their class."""
    waiting: list[Frame] = []

    def of(class_name: str) -> Iterator[Frame]:
        while True:
            waiting.extend(itertools.islice(frames, 1 - len(waiting)))
            if not waiting:
                return
            owner, _, instance = waiting[0].instance.partition("/")
            if owner != class_name:
                return
            yield replace(waiting.pop(), instance=instance)

    return {name: of(name) for name in classes}


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
            theirs = poses_of(camera, other.params, instance)
            pairs = enumerate(zip(theirs, poses[instance], strict=False))
            same += [(instance, view) for view, (pose, mine) in pairs if np.array_equal(pose, mine)]
        views = job.borrow(other, "views") if any(place not in held for place in same) else None
        if views is not None:
            held = dict.fromkeys(same, views) | held
    return held


def _look(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters that affect a pixel besides mesh, pose and view; the extent is only written into the file."""
    rest = {name: value for name, value in params.items() if name not in ("classes", "instances", "extent")}
    for part, other in (("cameras", "views"), ("render", "blank_views")):
        rest[part] = {name: value for name, value in params[part].items() if name != other}
    return rest


def merged(instances: list[str], views: int, held: dict[Place, Path], rendered: Iterator[Frame]) -> Iterator[Frame]:
    """All frames in order: `held` frames, read from their shards one instance at a time, and rendered ones."""
    for instance in instances:
        files = {held[instance, view] for view in range(views) if (instance, view) in held}
        copies = {(file, frame.view): frame for file in sorted(files) for frame in _read(file, instance, views)}
        for view in range(views):
            place = (instance, view)
            yield copies[held[place], view] if place in held else next(rendered)
    assert next(rendered, None) is None, "more frames were rendered than asked for"


def _read(file: Path, name: str, views: int) -> Iterator[Frame]:
    """The frames of one object in a shard, or in a file of the journal, where the names have their classes."""
    class_name, _, instance = name.rpartition("/")
    if not class_name:
        yield from read_frames(file, {name})
        return
    places = {(owner, one, view) for view in range(views) for owner, one in ((class_name, instance), ("", name))}
    for frame in read_frames(file, {name, instance}, places):
        yield replace(frame, instance=name)
