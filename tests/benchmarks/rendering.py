"""Rendering into shards against a bare bpy loop over the same frames, and against the same camera rays through Embree.

The known time of BlenderProc's defaults for an image at 224 px is a constant here: it cannot be installed beside bpy.
"""

import io
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from harness import Row, Section, interleaved, peak_mib, spread, timed
from PIL import Image

from robust3d import cameras
from robust3d.data.frame import Frame
from robust3d.data.shards import read_shards, write_shard
from robust3d.rendering.params import RenderParams
from robust3d.rendering.pool import render_instances
from robust3d.shapes import geons
from robust3d.shapes.mesh import Material, Paint

BLENDERPROC_S = 4.3  # an image at 224 px at BlenderProc's defaults: 1,024 samples at most, adaptive, denoised
BARE = Path(__file__).parent / "reference" / "bare.py"
Requests = list[tuple[str, Any, np.ndarray]]


def measure(toy: bool, repeats: int) -> Section:
    """Frames of a few geons at 64 and 224 px; long runs for memory and for two workers."""
    sizes, instances, views, truth_samples = ((16,), 3, 2, 8) if toy else ((64, 224), 8, 16, 1024)
    textured, views_textured = (2, 2) if toy else (4, 6)  # fewer: with holes a frame takes several times as long
    section = Section(
        "rendering",
        {
            "sizes_px": sizes,
            "instances": instances,
            "views": views,
            "samples": 16,
            "textured": [textured, views_textured],
        },
    )
    camera = cameras.CameraParams(views=views, radius=5.4, fov_deg=30.0)
    shapes = geons.Params(classes=("arch", "horn"), scalings=(0.5, 1.0, 1.5))
    names = geons.instance_ids(shapes, 0)[-instances:]
    requests = [(name, geons.build(shapes, 0, "arch", name), cameras.poses(camera, 0, name)) for name in names]
    for size_px in sizes:
        _against_bare(section, requests, size_px, 1 if toy else repeats)
        _rays(section, requests, cameras.intrinsics(camera, size_px), size_px)
    few = [(name, mesh, poses[:views_textured]) for name, mesh, poses in requests[:textured]]
    _textured(section, few, sizes[-1], 1 if toy else repeats)
    _quality(section, requests[:1], sizes[-1], truth_samples)
    _memory(section, requests, sizes[0], 4 if toy else 2000)
    return section


def _optics(size_px: int) -> np.ndarray:
    return cameras.intrinsics(cameras.CameraParams(radius=5.4, fov_deg=30.0), size_px)


def _frames(requests: Requests, size_px: int, workers: int = 1, samples: int = 16) -> Iterator[Frame]:
    params = RenderParams(resolution_px=size_px, samples=samples)
    return render_instances(requests, _optics(size_px), params, 0, "bench", workers)


def _shard(requests: Requests, size_px: int, workers: int, folder: Path) -> dict[str, float]:
    """Render and write one shard on as many cores as workers; seconds in all and after the first instances."""
    started, arrived = time.perf_counter(), []

    def watched() -> Iterator[Frame]:
        for frame in _frames(requests, size_px, workers):
            arrived.append(time.perf_counter())
            yield frame

    path = folder / f"shard-{workers}.h5"
    with _cores(workers):
        entry = write_shard(path, watched(), class_name="bench", resolution_px=size_px, extent=1.5)
    now = time.perf_counter()
    return {"all_s": now - started, "rest_s": now - arrived[0], "bytes": entry["bytes"]}


@contextmanager
def _cores(count: int) -> Iterator[None]:
    """Bind this process and the children it starts to so many cores."""
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, sorted(allowed)[:count])
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _bare(requests: Requests, size_px: int, folder: Path) -> dict[str, float]:
    job = folder / "job.pickle"
    job.write_bytes(pickle.dumps((RenderParams(resolution_px=size_px, samples=16), _optics(size_px), requests)))
    command = [sys.executable, str(BARE), str(job), str(folder)]
    with _cores(1):
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()
    return next(json.loads(line) for line in reversed(said) if line.startswith("{"))


def _against_bare(section: Section, requests: Requests, size_px: int, repeats: int) -> None:
    twice = [(f"{name}{turn}", mesh, poses) for turn in ("", "-again") for name, mesh, poses in requests]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        variants = {
            "ours": lambda: _shard(requests, size_px, 1, folder),
            "bare": lambda: _bare(requests, size_px, folder),
            "two": lambda: _shard(twice, size_px, 2, folder),
        }
        samples = interleaved(variants, repeats, warm_up=0 if repeats == 1 else 1)
        read = timed(lambda: read_shards([folder / "shard-1.h5"]))
    views = len(requests[0][2])
    count, results = views * len(requests), {name: [s.result for s in found] for name, found in samples.items()}
    whole = {name: [count / result["all_s"] for result in found] for name, found in results.items()}
    # The first frame arrives when each worker has done an instance; the rest is the steady state.
    rest = {"ours": len(requests) - 1, "bare": len(requests) - 1, "two": len(twice) - 2}
    steady = {name: [views * rest[name] / result["rest_s"] for result in found] for name, found in results.items()}
    what, peer = f"with mask, depth, cameras and shard at {size_px} px, one core", "bare bpy loop"

    def row(what: str, ours: list[float], theirs: list[float], bar: float | None, peer: str) -> None:
        pairs = spread([a / b for a, b in zip(ours, theirs, strict=True)])
        section.rows.append(Row(what, "images/s", spread(ours), spread(theirs), pairs, bar, peer))

    row(f"{what}, start-up included", whole["ours"], whole["bare"], None, peer)
    row(f"{what}, start-up excluded", steady["ours"], steady["bare"], 0.92, peer)
    row(f"two workers on two cores at {size_px} px", steady["two"], steady["ours"], 1.8, "one worker")
    section.facts[f"bytes an image at {size_px} px"] = results["ours"][0]["bytes"] / count
    section.facts[f"read back, images/s at {size_px} px"] = count / read.seconds


def _textured(section: Section, requests: Requests, size_px: int, repeats: int) -> None:
    """The same objects with a picture of 1024 px each, in four colours, with holes."""
    rng = np.random.default_rng(0)
    painted: Requests = []
    for name, mesh, poses in requests:
        pixels = np.kron(rng.integers(0, 255, (64, 64, 4)), np.ones((16, 16, 1))).astype(np.uint8)
        pixels[..., 3] = np.where(pixels[..., 3] < 32, 0, 255)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        uv = mesh.vertices[mesh.faces][..., :2].astype(np.float32)
        paint = Paint((Material(1.0, 0),), np.zeros(len(mesh.faces), np.int32), uv, (file.getvalue(),))
        painted.append((name, replace(mesh, colours=np.ones_like(mesh.colours), paint=paint), poses))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        variants = {
            "ours": lambda: _shard(painted, size_px, 1, folder),
            "bare": lambda: _bare(painted, size_px, folder),
        }
        samples = interleaved(variants, repeats, warm_up=0 if repeats == 1 else 1)
    count = len(requests[0][2]) * (len(requests) - 1)
    ours, bare = ([count / sample.result["rest_s"] for sample in samples[name]] for name in ("ours", "bare"))
    ratio = spread([a / b for a, b in zip(ours, bare, strict=True)])
    what = f"textured objects at {size_px} px, one core, start-up excluded"
    section.rows.append(Row(what, "images/s", spread(ours), spread(bare), ratio, 0.8, "bare bpy loop"))


def _rays(section: Section, requests: Requests, optics: np.ndarray, size_px: int) -> None:
    """The limit: first hits of the same rays through pixel centres, without light or colour."""
    count, seconds = 0, 0.0
    for _, mesh, poses in requests:
        solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        solid.ray.intersects_first(np.zeros((1, 3)), np.ones((1, 3)))  # builds the tree
        for pose in poses:
            sample = timed(lambda pose=pose, solid=solid: _cast(solid, pose, optics, size_px))
            seconds, count = seconds + sample.seconds, count + 1
    section.facts[f"Embree alone, images/s at {size_px} px"] = count / seconds


def _cast(solid: trimesh.Trimesh, pose: np.ndarray, optics: np.ndarray, size_px: int) -> np.ndarray:
    column, row = np.meshgrid(np.arange(size_px) + 0.5, np.arange(size_px) + 0.5)
    pixels = np.stack([column, row, np.ones_like(row)], -1).reshape(-1, 3)
    directions = pixels @ np.linalg.inv(optics).T @ pose[:3, :3]
    origins = np.broadcast_to(-pose[:3, :3].T @ pose[:3, 3], directions.shape)
    return solid.ray.intersects_first(origins, directions)


def _quality(section: Section, requests: Requests, size_px: int, truth_samples: int) -> None:
    """PSNR against many samples, and speed against BlenderProc's defaults."""
    ours = timed(lambda: list(_frames(requests, size_px)))
    truth = list(_frames(requests, size_px, samples=truth_samples))
    error = [
        np.square(_over_black(a.rgba) - _over_black(b.rgba)).mean() for a, b in zip(ours.result, truth, strict=True)
    ]
    psnr = spread([float(-10 * np.log10(max(value, 1e-12))) for value in error])
    section.rows.append(Row(f"PSNR against {truth_samples} samples at {size_px} px", "dB", psnr, bar=40.0))
    section.facts["PSNR is over"] = "all pixels, colour over black"
    if size_px == 224:
        steady = next(row for row in section.rows if "224 px" in row.what and "excluded" in row.what)
        rates = [BLENDERPROC_S * value for value in (steady.ours.median, steady.ours.low, steady.ours.high)]
        ratio = spread(rates)
        section.rows.append(
            Row("against BlenderProc's defaults at 224 px", "images/s", steady.ours, spread([1 / BLENDERPROC_S]), ratio,
                25.0, f"known, {BLENDERPROC_S} s an image")
        )  # fmt: skip


def _over_black(rgba: np.ndarray) -> np.ndarray:
    return rgba[..., :3] / 255 * (rgba[..., 3:] / 255)


def _memory(section: Section, requests: Requests, size_px: int, frames: int) -> None:
    """Growth of the worker and of this process over many frames."""
    turns = range(1 + frames // (len(requests) * len(requests[0][2])))
    many = [(f"{name}-{turn}", mesh, poses) for turn in turns for name, mesh, poses in requests]
    resident = []
    before = peak_mib()
    for count, _ in enumerate(_frames(many, size_px), 1):
        if count % max(1, frames // 8) == 0:
            resident.append(_children_mib())
        if count >= frames:
            break
    half = resident[len(resident) // 2 :] or [0.0]
    growth = 100 * (half[-1] - half[0]) / max(1, frames // 2)
    section.rows.append(
        Row(f"memory growth of the worker over {frames} images, negated", "MiB/100 images", spread([-growth]), bar=-1.0)
    )
    section.facts["memory of the worker, MiB"] = resident
    section.facts["growth of the parent, MiB"] = peak_mib() - before
    section.facts["peak of the children, MiB"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _children_mib() -> float:
    """Resident memory of this process's children now."""
    total = 0.0
    for pid in Path("/proc/self/task").glob("*/children"):
        for child in pid.read_text().split():
            pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
            total += pages * resource.getpagesize() / 2**20
    return total
