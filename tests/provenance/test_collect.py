"""`robust3d gc` frees nothing that somebody may be about to read."""

import fcntl
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from robust3d.errors import UserError
from robust3d.provenance import collect as module
from robust3d.provenance.collect import collect


def test_nothing_is_deleted_while_a_head_is_at_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shapes = Path("results/build_shapes/cubes-0123456789ab/shapes.npz")
    shapes.parent.mkdir(parents=True)
    shapes.write_text("cubes")
    head = Path("results/.progress/.head/owner")
    head.parent.mkdir(parents=True)
    with head.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("process 1 on a node, making results/table4.csv")
        file.flush()
        assert "cubes-0123456789ab" in collect({}, delete=False)
        with pytest.raises(UserError, match=r"another snakemake is running.*process 1 on a node"):
            collect({}, delete=True)
    assert shapes.is_file()


def test_what_a_job_on_another_node_is_writing_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = SimpleNamespace(output=lambda name: f"results/build_shapes/cubes-0123456789ab/{name}.json")
    monkeypatch.setattr(module, "Plan", lambda study: SimpleNamespace(every_job=lambda: [job]))
    ended = subprocess.Popen(["true"])  # a process of this number may be at work on the other node
    ended.wait()
    written = Path(f"results/build_shapes/cubes-0123456789ab/.partial-{ended.pid}-shapes.npz")
    owner = Path("results/.progress/cubes-0123456789ab/owner")
    for path, text in ((written, "half"), (owner, f"process {ended.pid} on another-node, since 2026-01-01 00:00:00")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert str(written) not in collect({"study": None}, delete=False)
    owner.unlink()
    assert str(written) in collect({"study": None}, delete=False)
