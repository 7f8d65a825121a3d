"""A render job that is told to stop, or killed, goes on with the frames it has, to the same bytes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from robust3d.data.frame import Frame
from robust3d.data.shards import read_frames
from robust3d.rendering import journal
from robust3d.rendering.journal import Journal
from robust3d.study.jobs import Job

ROOT = Path(__file__).parents[2]
SIZE = 8


def frame(instance: str, view: int) -> Frame:
    rng = np.random.default_rng([int(instance), view])
    mask = rng.random((SIZE, SIZE)) < 0.5
    rgba = rng.integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8) * mask[..., None]
    depth = np.where(mask, rng.random((SIZE, SIZE), dtype=np.float32), np.float32(np.inf))
    return Frame(instance, view, rgba, mask, depth, np.eye(4) + view, np.eye(3))


def test_the_journal_holds_what_was_passed_on_and_forgets_damaged_files(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "EVERY_S", 0.0)
    places = [("1", 0), ("1", 1), ("2", 0)]
    passed = list(Journal(tmp_path, "cone", SIZE).keep(frame(*place) for place in places))
    assert [(f.instance, f.view) for f in passed] == places
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    held = Journal(tmp_path, "cone", SIZE).held()
    assert list(held) == places and held["1", 1] == files[1]
    (again,) = read_frames(held["2", 0], {"2"})
    for ours, theirs in zip(vars(again).values(), vars(frame("2", 0)).values()):
        assert np.array_equal(ours, theirs)
    files[1].write_bytes(files[1].read_bytes()[:-100])
    assert list(Journal(tmp_path, "cone", SIZE).held()) == [("1", 0), ("2", 0)]
    assert not files[1].exists()
    later = Journal(tmp_path, "cone", SIZE)
    list(later.keep([frame("1", 1)]))
    assert set(later.held()) == set(places)


def test_what_is_not_due_is_written_when_asked(tmp_path):
    one = Journal(tmp_path, "cone", SIZE)
    list(one.keep([frame("1", 0)]))
    assert not one.held()
    one.save()
    one.save()
    assert list(one.held()) == [("1", 0)]


def start(job: Job) -> subprocess.Popen:
    command = [sys.executable, "-m", "robust3d.cli", "run", "--job", job.id, "--spec", job.spec]
    for name, paths in job.input_paths().items():
        command += ["--input", name, *paths]
    for name in ("shapes", "views", "manifest", "record"):
        if name in {"build_shapes": ("shapes", "manifest", "record")}.get(job.stage, ("views", "manifest", "record")):
            command += ["--output", name, job.output(name)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_stopped_shard_goes_on_to_the_same_bytes(jobs):
    shapes, shard = jobs
    assert start(shapes).wait() == 0
    whole = start(shard)
    assert whole.wait() == 0, whole.stderr.read()
    record = json.loads(Path(shard.output("record")).read_text())
    for output in record["outputs"].values():
        Path(output["path"]).rename(f"{output['path']}.whole")
    Path(shard.output("record")).unlink()
    for known in Path("results/.known").rglob("*"):
        known.unlink() if known.is_file() else None  # nothing to copy from

    stopped = start(shard)
    time.sleep(0.6 * record["seconds"])
    stopped.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)  # as SLURM does at a time limit
    assert stopped.wait(timeout=30) == 75, stopped.stderr.read()
    assert not Path(shard.output("views")).exists()
    again = start(shard)
    assert again.wait() == 0
    assert "going on after" in again.stderr.read()
    for output in record["outputs"].values():
        assert Path(output["path"]).read_bytes() == Path(f"{output['path']}.whole").read_bytes()
    assert not Path("results/.progress", shard.id).exists()
