"""The files that records name, looked at only inside the results folder and compared with what was recorded."""

import functools
import json
from pathlib import Path
from typing import Any

from robust3d.files import sha256
from robust3d.provenance.lineage import RESULTS, Lineage


class Files:
    """Reads what records name, and says what is wrong with it.

    Args:
        lineage: of the results folder.
    """

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._digests: dict[Path, str] = {}

    def place(self, name: str) -> Path | None:
        """Where a recorded file is, or None if it is missing or outside the results folder."""
        parts = Path(name).parts
        if parts[:1] != (RESULTS.name,) or ".." in parts:
            return None
        path = self._lineage.locate(name)
        return path if path.is_file() else None

    def wrong(self, name: str, recorded: str) -> str | None:
        """A sentence on a file that is gone or not the recorded one any more."""
        path = self.place(name)
        if path is None:
            return f"{name} is not there any more."
        try:
            if path not in self._digests:
                self._digests[path] = sha256(path)
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}."
        return (
            None
            if self._digests[path] == recorded
            else f"{name} is not the file that was recorded: its sha256 differs."
        )

    @functools.lru_cache(maxsize=64)  # noqa: B019  (one object a site; the cells of a row read the same files)
    def json(self, name: str) -> Any:
        """The content of a JSON file, or None if there is no readable one."""
        path = self.place(name)
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path else None
        except (OSError, ValueError, RecursionError):
            return None


def at_pointer(content: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) points at, or None."""
    if not pointer.startswith("/"):
        return None
    for part in pointer[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list) and key.isdecimal() and int(key) < len(content):
            content = content[int(key)]
        elif isinstance(content, dict) and key in content:
            content = content[key]
        else:
            return None
    return content
