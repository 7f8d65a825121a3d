"""Processes that a job starts run the sources that it holds, whatever the files hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from robust3d import loading

SEEDS = str(Path(loading.__file__).with_name("seeds.py"))
WORKER = str(Path(loading.__file__).parent / "rendering/worker.py")
ASK = (sys.executable, "-c", "from robust3d import seeds; print(vars(seeds).get('HELD'), seeds.__file__)")


def answer(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_that_a_job_starts_loads_what_the_job_holds(tmp_path, monkeypatch):
    sources = {
        "robust3d.seeds": (SEEDS, b"HELD = 1"),
        "robust3d.rendering.worker": (WORKER, b"from robust3d.seeds import HELD; print(HELD, __name__)"),
    }
    monkeypatch.chdir(tmp_path)
    with loading.held(sources, Path("sources")):
        monkeypatch.chdir("/")  # other processes may be started elsewhere
        assert answer(*ASK) == f"1 {SEEDS}"
        assert answer(sys.executable, "-m", "robust3d.rendering.worker") == "1 __main__"
    assert answer(*ASK) == f"None {SEEDS}"


def test_what_is_held_is_let_go_when_a_job_fails(tmp_path):
    finders = list(sys.meta_path)
    with pytest.raises(ZeroDivisionError), loading.held({}, tmp_path / "sources"):
        assert loading.VARIABLE in os.environ and sys.meta_path != finders
        _ = 1 / 0
    assert loading.VARIABLE not in os.environ and sys.meta_path == finders
