"""The error that a user can correct: what is wrong, where, and what to do about it."""

import os
from pathlib import Path


class UserError(ValueError):
    """A mistake in the user's input; `robust3d` prints its message without a traceback and exits with 2.

    The message names the file or the configuration key, says what is wrong with it and what to do.
    """


class DamagedFile(UserError):
    """A file that can be read, but whose content is not what it should be."""


def why_unreadable(path: Path, error: Exception, damaged: str) -> UserError:
    """What to say about a file that a library could not read.

    Args:
        path: of the file.
        error: what the library raised.
        damaged: what to say, and to do, where the file's content is at fault; where it is the file system (no
            permission, no locks, a broken disk, a server that is gone), no message may advise to delete a good file.
    """
    if isinstance(error, OSError) and error.errno:
        return UserError(f"{path}: cannot be read: {os.strerror(error.errno)}")
    return DamagedFile(f"{path}: {damaged}")


STOPPED = 75
"""Exit code of a job that was stopped by SIGTERM: its progress is saved, and the next start continues from there."""
