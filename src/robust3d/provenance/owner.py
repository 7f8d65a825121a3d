"""One owner for each job, and one head for each results folder, on one node or on two.

Two processes never write the same checkpoint, and of two heads each would remove what the other makes "again". A job
waits for its owner; a second head is refused.

The kernel's lock decides where it reaches; it frees itself when its process dies. Some shared file systems keep locks
to one node, so the owner also says who it is in the file and touches it; a process on another node waits until that
owner has left, has fallen silent, or is a SLURM job that is over.
"""

import atexit
import contextlib
import fcntl
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from robust3d.errors import UserError

BEAT_S = 20.0
SILENT_S = 180.0  # longer than shared file systems hold back a changed time
ASKED = "asked.json"  # in a head's folder: its jobs
LOST = 76  # exit code of an owner that finds another one in its place


@contextlib.contextmanager
def only_owner(folder: Path) -> Iterator[None]:
    """Wait until no other process works in this folder, then own it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "owner"
        with path.open("a+") as file:
            locked = _lock(file)
            if not _is_at(file, path):
                continue  # the former owner has cleaned up meanwhile
            _await_other(file, locked)
            end = _sign(file, path, _me())
            try:
                yield
            finally:
                end()
            return


def become_head(folder: Path, making: str) -> None:
    """Own this folder until this process ends; if it is killed, nothing has to be unlocked.

    Args:
        folder: of the owner file; it is there only while there is a head, or after one was killed.
        making: what this process makes, for messages to other processes.

    Raises:
        UserError: another head is at work there, or the folder cannot be written.
    """
    path = folder / "owner"
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        except FileNotFoundError:
            continue  # the former head has cleaned up meanwhile
        except OSError as error:
            raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except BlockingIOError:
            raise UserError(_refusal(_said(file))) from None
        except OSError:
            locked = False  # this file system has no locks: what the file says has to do
        if _is_at(file, path):
            break
        file.close()
    owner, silent_s = _said(file), _silence(path)
    if owner and not _gone(owner, locked) and silent_s < SILENT_S:
        hint = f" (if that was killed, start again in {SILENT_S - silent_s:.0f} s)"
        raise UserError(_refusal(owner) + hint)
    end = _sign(file, path, f"{_me()}, making {making}")

    def leave() -> None:
        end()
        (folder / ASKED).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()

    atexit.register(leave)


def alive(folder: Path) -> str | None:
    """What the owner of a folder says about itself; None if there is none, or it is dead.

    An owner on another node counts as alive while it touches its file.
    """
    path = folder / "owner"
    try:
        with path.open() as file:
            owner = _said(file)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return owner or "a process that has just started"
            except OSError:
                pass  # no locks here
            else:
                if re.search(f" on {re.escape(platform.node())}(,|$)", owner):
                    return None
        return owner if owner and time.time() - path.stat().st_mtime < SILENT_S else None
    except OSError:
        return None


def _refusal(owner: str) -> str:
    return (
        f"another snakemake is running on these results: {owner or 'it has just started'}; wait until it ends, "
        "or stop it; finished jobs are kept"
    )


def _silence(path: Path) -> float:
    """For how long, in seconds of the file server's clock, the owner has not shown that it is alive."""
    probe = path.with_name(f".now-{os.getpid()}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _sign(file: IO[str], path: Path, text: str) -> Callable[[], None]:
    """Say in the file who its owner is and show that it is alive, until the function returned is called."""
    file.truncate(0)
    file.write(text)
    file.flush()
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, text, stop), daemon=True)
    beat.start()

    def end() -> None:
        stop.set()
        beat.join()
        file.truncate(0)

    return end


def _me() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {platform.node()}" + (f", SLURM job {job}" if job else "") + f", since {since}"


def _said(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def _lock(file: IO[str]) -> bool:
    """Wait for the kernel's lock; False where there are none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for {_said(file)}, which is making the same files", file=sys.stderr)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        print(f"{file.name}: this file system has no locks ({error}); going by what the file says", file=sys.stderr)
        return False
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _await_other(file: IO[str], locked: bool) -> None:
    """Wait for an owner that the lock does not show, such as one on another machine."""
    seen, since, reported = os.fstat(file.fileno()).st_mtime, time.monotonic(), False
    while (owner := _said(file)) and not _gone(owner, locked):
        if not reported:
            print(f"waiting for {owner}, which is making the same files or was killed there", file=sys.stderr)
            reported = True
        time.sleep(BEAT_S / 4)
        now = os.fstat(file.fileno()).st_mtime
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > SILENT_S:
            return


def _gone(owner: str, locked: bool) -> bool:
    """Whether the owner that left this line cannot be at work: its lock is ours, or its process or job is over."""
    if re.search(f" on {re.escape(platform.node())}(,|$)", owner):
        return locked or not Path("/proc", owner.split()[1]).exists()
    job = owner.partition("SLURM job ")[2].partition(",")[0]
    if not job:
        return False
    try:
        result = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if result.returncode != 0:
        return "invalid job id" in result.stderr.lower()
    return result.stdout.strip() in ("", "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")


def _beat(path: Path, mine: str, stop: threading.Event) -> None:
    """Show that this process is alive, and end it at once should another have taken its place."""
    while not stop.wait(BEAT_S):
        try:
            os.utime(path)
            if path.read_text() != mine:
                print(f"{path}: taken over by {path.read_text()}; this process ends", file=sys.stderr, flush=True)
                os._exit(LOST)
        except FileNotFoundError:
            return  # cleaned up: the job is over
