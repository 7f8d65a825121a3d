"""Files that appear complete or not at all, and their sha256."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def partial(path: Path) -> Path:
    """The hidden name beside `path` under which it is written before it is whole; the suffix stays, for writers."""
    return path.with_name(f".partial-{os.getpid()}-{path.name}")


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
