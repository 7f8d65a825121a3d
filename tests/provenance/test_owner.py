"""One owner a job: by the kernel's lock on one node, by the owner's sign of life across nodes."""

import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from robust3d.errors import UserError
from robust3d.provenance import owner


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(owner, "BEAT_S", 0.2)
    monkeypatch.setattr(owner, "SILENT_S", 1.0)


def own(folder: Path) -> float:
    """Seconds it takes to become the owner."""
    started = time.monotonic()
    with owner.only_owner(folder):
        return time.monotonic() - started


def test_the_owner_says_who_it_is_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    with owner.only_owner(tmp_path):
        said = (tmp_path / "owner").read_text()
        assert said.startswith(f"process {os.getpid()} on {platform.node()}, SLURM job 42, since 20")
        assert owner.alive(tmp_path) == said
    assert owner.alive(tmp_path) is None
    assert (tmp_path / "owner").read_text() == ""


def test_a_dead_owner_of_this_node_is_followed_at_once(tmp_path):
    (tmp_path / "owner").write_text(f"process 999999 on {platform.node()}")
    assert own(tmp_path) < 0.5


def test_an_owner_on_another_node_is_waited_for_while_it_shows_life(tmp_path, capfd):
    path = tmp_path / "owner"
    path.write_text("process 7 on elsewhere")

    def live():
        for _ in range(10):
            time.sleep(0.2)
            os.utime(path)

    life = threading.Thread(target=live)
    life.start()
    assert own(tmp_path) > 2.5  # two seconds of life and one of silence
    life.join()
    assert "waiting for process 7 on elsewhere" in capfd.readouterr().err


def test_an_owner_on_another_node_that_leaves_is_followed_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(owner, "SILENT_S", 60.0)
    path = tmp_path / "owner"
    path.write_text("process 7 on elsewhere")
    threading.Timer(0.5, lambda: path.write_text("")).start()
    assert own(tmp_path) < 5


def test_an_owner_whose_slurm_job_is_over_is_followed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(owner, "SILENT_S", 60.0)
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    script = '#!/bin/sh\n[ "$3" = 8 ] && echo RUNNING && exit\necho "Invalid job id specified" >&2; exit 1\n'
    squeue.write_text(script)
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    (tmp_path / "owner").write_text("process 7 on elsewhere, SLURM job 7")
    assert own(tmp_path) < 2
    assert not owner._gone("process 7 on elsewhere, SLURM job 8", True)


def test_a_file_system_without_locks_goes_by_processes(tmp_path, monkeypatch, capfd):
    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(owner.fcntl, "flock", refuse)
    sleeper = subprocess.Popen(["sleep", "1.5"])
    threading.Thread(target=sleeper.wait, daemon=True).start()
    (tmp_path / "owner").write_text(f"process {sleeper.pid} on {platform.node()}")
    monkeypatch.setattr(owner, "SILENT_S", 60.0)
    assert own(tmp_path) > 1
    assert "has no locks" in capfd.readouterr().err


def test_an_owner_that_another_has_replaced_ends_itself(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from robust3d.provenance import owner; owner.BEAT_S = 0.2\n"
        "with owner.only_owner(Path(sys.argv[1])): print('mine', flush=True); time.sleep(30)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"mine\n"
    (tmp_path / "owner").write_text("process 1 on elsewhere")
    assert process.wait(timeout=10) == owner.LOST
    assert b"taken over by process 1 on elsewhere" in process.stderr.read()


def test_many_processes_never_own_one_folder_together(tmp_path):
    code = (
        "import sys, time, os; from pathlib import Path; from robust3d.provenance import owner\n"
        "for turn in range(5):\n"
        "    with owner.only_owner(Path(sys.argv[1], 'job')):\n"
        "        os.close(os.open(Path(sys.argv[1], 'alone'), os.O_CREAT | os.O_EXCL)); time.sleep(0.02)\n"
        "        os.unlink(Path(sys.argv[1], 'alone'))\n"
        "        if turn % 2: Path(sys.argv[1], 'job', 'owner').unlink()\n"
    )
    crowd = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.wait(timeout=60) for process in crowd] == [0] * 4


# --- heads ----------------------------------------------------------------------------------------------------------

HEAD = (
    "import sys, time; from pathlib import Path; from robust3d.provenance import owner; from robust3d.errors import *\n"
    "owner.BEAT_S, owner.SILENT_S = 0.2, 1.0\n"
    "try:\n    owner.become_head(Path(sys.argv[1], 'head'), 'results/table4.csv')\n"
    "except UserError as error:\n    sys.exit(str(error))\n"
    "print('head', flush=True); time.sleep(float(sys.argv[2]))"
)


def head(folder: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HEAD, str(folder), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_head_is_refused_by_name_and_the_first_leaves_nothing(tmp_path):
    first = head(tmp_path, 4)
    assert first.stdout.readline() == "head\n"
    second = head(tmp_path, 0)
    assert second.wait() == 1
    told = second.stderr.read()
    for text in (f"process {first.pid} on {platform.node()}", time.strftime("since %Y-"), "making results/table4.csv"):
        assert text in told
    assert first.wait() == 0 and not list(tmp_path.iterdir())
    assert head(tmp_path, 0).wait() == 0


def test_a_killed_head_leaves_nothing_to_unlock(tmp_path):
    first = head(tmp_path, 60)
    assert first.stdout.readline() == "head\n"
    first.kill()
    first.wait()
    assert (tmp_path / "head/owner").read_text()
    third = head(tmp_path, 0)
    assert third.wait() == 0 and third.stdout.read() == "head\n" and not list(tmp_path.iterdir())


def test_a_head_on_another_node_counts_until_it_has_fallen_silent(tmp_path, monkeypatch):
    """Where locks end at a node: its sign of life is all that this one sees."""
    monkeypatch.setattr(owner.atexit, "register", lambda leave: leave())
    path = tmp_path / "owner"
    path.write_text("process 7 on elsewhere, since 2026-01-02 03:04:05, making results/table1.csv")
    with pytest.raises(UserError, match=r"process 7 on elsewhere.*if that was killed, start again in \d+ s"):
        owner.become_head(tmp_path, "results/table4.csv")
    assert path.read_text().startswith("process 7")
    time.sleep(1.2)
    owner.become_head(tmp_path, "results/table4.csv")
    assert not tmp_path.exists()


def test_a_head_whose_slurm_job_is_over_is_followed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(owner, "SILENT_S", 60.0)
    asked = []

    def squeue(command, **_):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "COMPLETED\n", "")

    monkeypatch.setattr(owner.subprocess, "run", squeue)
    (tmp_path / "owner").write_text("process 7 on elsewhere, SLURM job 42, since 2026-01-02 03:04:05, making a, b")
    monkeypatch.setattr(owner.atexit, "register", lambda leave: leave())
    owner.become_head(tmp_path, "results/table4.csv")
    assert asked[0][asked[0].index("-j") + 1] == "42"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/head: cannot be written"):
        owner.become_head(tmp_path / "file/head", "results/table4.csv")
