"""`robust3d gc` frees nothing that somebody may be about to read."""

import fcntl
from pathlib import Path

import pytest

from robust3d.errors import UserError
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
