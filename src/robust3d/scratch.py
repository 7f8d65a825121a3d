"""Private temporary folders: what a job leaves in them goes with the job, however that ends.

A killed process removes nothing. So each folder is locked by the process that made it, and the next one on the same
machine removes those of the same user whose lock is free. (The lock also keeps systemd from clearing away the folder of
a job that takes weeks.)
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robust3d.files import cause

# The machine's name is in it because locks on a shared file system may reach no further than the machine.
PREFIX = f"robust3d-{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-"

# Names under which programs look for the temporary folder: Snakemake sets each, Blender does not begin with TMPDIR.
VARIABLES = ("TMPDIR", "TEMP", "TMP", "TEMPDIR")


def variables(folder: Path) -> dict[str, str]:
    """What a process that is to use `folder` as its temporary folder needs in its environment."""
    return dict.fromkeys(VARIABLES, str(folder))


@contextlib.contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A new folder that only this user can open, removed at the end.

    Args:
        parent: where to make it; the temporary folder (TMPDIR) if none is given.

    Raises:
        OSError: it cannot be made.
    """
    parent = parent or Path(tempfile.gettempdir())
    _sweep(parent)
    folder, lock = _make(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def private_temp() -> Iterator[None]:
    """This process and those that it starts use a temporary folder of their own meanwhile."""
    with contextlib.ExitStack() as stack:
        try:
            folder: Path | None = stack.enter_context(scratch())
        except OSError as error:  # few jobs need one
            print(f"TMPDIR: no folder can be created there ({cause(error)}); continuing without it", file=sys.stderr)
            folder = None
        if folder is None:
            yield
            return
        before, tempdir = {name: os.environ.get(name) for name in VARIABLES}, tempfile.tempdir
        os.environ.update(variables(folder))
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = tempdir
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _make(parent: Path) -> tuple[Path, int]:
    """A new folder and the open file that locks it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # swept away before it was locked
        with contextlib.suppress(OSError):  # no locks here: then no other process cleans up either
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove what killed processes of this user left."""
    for path in parent.glob(f"{PREFIX}*"):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone, another user's, or no folder
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass  # its owner lives, or there are no locks here
        finally:
            os.close(lock)
