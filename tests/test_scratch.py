"""What is made in a temporary folder of a job's goes with the job, however it ends."""

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from robust3d import scratch as module
from robust3d.scratch import PREFIX, private_temp, scratch

HOLD = """
import pathlib, sys, time
from robust3d.scratch import scratch
with scratch(pathlib.Path(sys.argv[1])) as folder:
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> tuple[subprocess.Popen, Path]:
    """A process that has a folder there."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_at_the_end_and_when_the_work_fails(tmp_path):
    with scratch(tmp_path) as folder:
        assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep" / "er").mkdir(parents=True)
    with pytest.raises(SystemExit), scratch(tmp_path) as folder:
        (folder / "file").write_text("x")
        raise SystemExit(75)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_by_the_next_but_no_living_one_s(tmp_path):
    (killed, left), (living, kept) = hold(tmp_path), hold(tmp_path)
    try:
        killed.kill()
        killed.wait()
        assert (left / "sub" / "file").exists()
        with scratch(tmp_path) as mine:
            assert sorted(tmp_path.iterdir()) == sorted([kept, mine])
            assert (kept / "sub" / "file").exists()
    finally:
        living.send_signal(signal.SIGINT)
        living.wait()
    assert not list(tmp_path.iterdir())


def test_what_is_not_ours_stays(tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    here = tmp_path / "here"
    here.mkdir()
    others = [here / "robust3d-00000000-x", here / "blender_x"]  # of another machine, of another program
    for other in others:
        other.mkdir()
    (here / f"{PREFIX}link").symlink_to(away)
    (here / f"{PREFIX}file").write_text("x")
    if os.geteuid() == 0:
        others.append(here / f"{PREFIX}another-user")
        others[-1].mkdir()
        os.chown(others[-1], 61001, 61001)
    before = sorted(here.iterdir())
    with scratch(here):
        pass
    assert sorted(here.iterdir()) == before and away.exists()


def test_many_at_once_have_a_folder_each(tmp_path):
    def work(_: int) -> Path:
        with scratch(tmp_path) as folder:
            (folder / "file").write_text("x")
            assert [path.name for path in folder.iterdir()] == ["file"]
            return folder

    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(work, range(200)))
    assert len(set(folders)) == 200 and not list(tmp_path.iterdir())


def test_processes_use_it_as_their_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TMP", "/elsewhere")
    monkeypatch.delenv("TEMP", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    with private_temp():
        assert os.environ["TMP"] == os.environ["TEMP"] == os.environ["TMPDIR"] != str(tmp_path)
        (mine,) = tmp_path.iterdir()
        tempfile.mkdtemp()
        subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkdtemp()"], check=True)
        assert len(list(mine.iterdir())) == 2
        with private_temp():
            assert Path(tempfile.gettempdir()).parent == mine
    assert not list(tmp_path.iterdir()) and tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path)
    assert os.environ["TMP"] == "/elsewhere" and "TEMP" not in os.environ


def test_a_temporary_folder_that_cannot_be_written_is_said_and_stops_nothing(monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with private_temp():
        assert tempfile.gettempdir() == "/proc"
    assert "TMPDIR: no folder can be created" in capsys.readouterr().err


def test_without_locks_nothing_is_swept(tmp_path, monkeypatch):
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    (tmp_path / f"{PREFIX}other").mkdir()
    monkeypatch.setattr(module.fcntl, "flock", none)
    with scratch(tmp_path) as folder:
        assert folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}other"]
