"""Files that appear complete or not at all, and their sha256."""

import glob
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from robust3d.errors import UserError


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
    """Make a finished file appear under its final name, its bytes safely on disk first."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, final)


def write_json(path: Path, value: Any) -> None:
    """JSON for people: indented, keys sorted, one trailing newline, whole or not at all."""
    temporary = partial(path)
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    publish(temporary, path)
