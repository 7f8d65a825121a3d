"""What Blender's processes make in temporary folders goes with the job: at its end, on failure, on any signal."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import trimesh

from robust3d import cameras
from robust3d.cameras import CameraParams
from robust3d.rendering import pool
from robust3d.rendering.params import RenderParams
from robust3d.shapes.mesh import Mesh
from robust3d.study.jobs import Job

ROOT = Path(__file__).parents[2]
CAMERA = CameraParams(protocol="nmr", views=2)


def frames(count: int, workers: int = 1):
    box = trimesh.creation.box((0.5, 0.5, 0.5))
    mesh = Mesh(box.vertices.copy(), box.faces.astype("int32"), box.face_normals.astype("float32") * 0 + 0.5)
    poses = cameras.poses(CAMERA, 0, "cube")
    requests = [(f"cube{number}", mesh, poses) for number in range(count)]
    params = RenderParams(resolution_px=16, samples=1)
    return pool.render_instances(requests, cameras.intrinsics(CAMERA, 16), params, 0, "cubes", workers)


@pytest.fixture
def places(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """The temporary folder and the one in memory."""
    temporary, memory = tmp_path / "tmp", tmp_path / "memory"
    temporary.mkdir()
    memory.mkdir()
    for name in ("TMPDIR", "TMP", "TEMP", "TEMPDIR"):  # Snakemake sets all of them
        monkeypatch.setenv(name, str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(pool, "MEMORY", memory)
    return temporary, memory


def left(places: tuple[Path, Path]) -> list[Path]:
    return [path for place in places for path in place.rglob("*")]


def test_workers_that_are_replaced_or_no_longer_needed_leave_nothing(places, monkeypatch):
    monkeypatch.setattr(pool, "GROWTH_MIB", -1_000_000)  # each instance has a process of its own
    close, seen = pool._Worker.close, []

    def look_and_close(worker: pool._Worker) -> None:
        seen.append([path.parent.parent for path in left(places) if path.name.startswith("blender_")])
        close(worker)

    monkeypatch.setattr(pool._Worker, "close", look_and_close)
    assert len(list(frames(2))) == 4
    assert seen == [[places[1]], [places[1]], []]  # while they lived; the last is of the end
    assert not left(places)


@pytest.mark.slow
def test_a_caller_that_stops_asking_leaves_nothing(places, monkeypatch):
    rendered = frames(4, workers=2)
    next(rendered)
    rendered.close()
    assert not left(places)
    monkeypatch.setattr(pool, "MEMORY", places[1] / "absent")  # then the temporary folder serves
    assert len(list(frames(1))) == 2 and not left(places)


@pytest.mark.slow
def test_a_failed_render_leaves_nothing(places, monkeypatch):
    monkeypatch.setattr(pool, "FRAME_TIMEOUT_S", 0.0)  # as if Blender hung
    with pytest.raises(Exception, match="has not responded"):
        list(frames(1))
    assert not left(places)


def start(job: Job, memory: Path) -> subprocess.Popen:
    """The job as the workflow runs it, but for the folder in memory, which other processes use as well."""
    code = (
        "import pathlib, sys; from robust3d.rendering import pool; pool.MEMORY = pathlib.Path(sys.argv.pop(1));"
        "from robust3d.cli import main; main()"
    )
    command = [sys.executable, "-c", code, str(memory), "run", "--threads", "2"]
    command += ["--job", job.id, "--spec", job.spec]
    for name, paths in job.input_paths().items():
        command += ["--input", name, *paths]
    for name in ("views", "manifest", "record"):
        command += ["--output", name, job.output(name)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


def begun(places: tuple[Path, Path]) -> None:
    """Wait until two workers render."""
    until = time.monotonic() + 60
    while time.monotonic() < until and len(list(places[1].rglob("frame.exr"))) < 2:
        time.sleep(0.05)
    assert len(list(places[1].rglob("blender_*"))) == 2 and list(places[0].iterdir())


@pytest.mark.slow
def test_a_job_leaves_nothing_however_it_ends(places, jobs):
    shapes, shard = jobs
    made = [part for name in ("shapes", "manifest", "record") for part in ("--output", name, shapes.output(name))]
    command = [sys.executable, "-m", "robust3d.cli", "run", "--job", shapes.id, "--spec", shapes.spec]
    subprocess.run([*command, *made], check=True)

    for stop in (signal.SIGTERM, signal.SIGINT):  # SLURM's, and Ctrl-C to all processes of a terminal
        job = start(shard, places[1])
        begun(places)
        os.killpg(job.pid, stop)
        assert job.wait(timeout=30) != 0 and not left(places), stop

    job = start(shard, places[1])  # its workers remain, finish their frame and clear up
    begun(places)
    job.kill()
    job.wait()
    until = time.monotonic() + 30
    while left((places[1], places[1])) and time.monotonic() < until:
        time.sleep(0.1)
    assert not list(places[1].iterdir())

    job = start(shard, places[1])  # nobody remains to clear up: the next job does
    begun(places)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    assert left(places)
    job = start(shard, places[1])
    assert job.wait(timeout=120) == 0
    assert not left(places) and Path(shard.output("views")).exists()
