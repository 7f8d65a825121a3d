"""Files that appear complete or not at all, with the user's permissions (umask), and their sha256."""

import errno
import glob
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from robust3d.errors import UserError

CAUSES = {
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EROFS: "read-only file system",
    errno.ENOSPC: "no room",
    errno.EDQUOT: "no room: quota",
    errno.EEXIST: "a file is in place of a folder",
    errno.ENOTDIR: "a file is in place of a folder",
}


def cause(error: OSError) -> str:
    """Why a file cannot be read or written, in a few words."""
    return CAUSES.get(error.errno or 0) or error.strerror or str(error)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_bytes(path: Path, planned: str | None) -> None:
    """Refuse a file that is not the one that a job was planned for.

    Raises:
        UserError: it is another one, or not there.
    """
    try:
        found = sha256(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if found != planned:
        raise UserError(f"{path}: changed since this run was planned; start snakemake again")


def seal(record: dict[str, Any]) -> str:
    """sha256 over a record's content, its own seal apart."""
    content = {name: value for name, value in record.items() if name != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its seal, so that no byte of it changes unnoticed."""
    return record | {"seal": seal(record)}


def partial(path: Path) -> Path:
    """The hidden name beside `path` under which it is written before it is whole; the suffix stays, for writers."""
    return path.with_name(f".partial-{os.getpid()}-{path.name}")


def clear_partial(path: Path) -> None:
    """Remove what dead processes left of a file; only for those who alone may write it."""
    for leftover in path.parent.glob(f".partial-*-{glob.escape(path.name)}"):
        leftover.unlink(missing_ok=True)


def publish(temporary: Path, final: Path) -> None:
    """Make a finished file appear under its final name, its bytes safely on disk first.

    Some writers (safetensors) make files that nobody else may read, whatever the umask says: these become usual ones.
    """
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if not mode & 0o077 and (usual := _usual_mode(final)) != mode:
            os.fchmod(descriptor, usual)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, final)


def _usual_mode(path: Path) -> int:
    """Permissions of a new file beside `path`, by umask or by the folder's access list: those of an empty one."""
    empty = partial(path.with_name(f"mode-{path.name}"))
    descriptor = os.open(empty, os.O_CREAT | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        empty.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    temporary = partial(path)
    try:
        temporary.write_text(text, encoding="utf-8")
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """JSON for people: indented, keys sorted, one trailing newline, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
