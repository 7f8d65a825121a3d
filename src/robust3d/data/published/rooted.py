"""Files under one root that no name leads out of: a folder here, a ZIP archive elsewhere.

Readers of meshes name materials and pictures as the mesh does, `find` says which file is meant, and `read` gives its
bytes. Any class with the three members of `Files` will do. Names have forward slashes and begin at the root.
"""

import os
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from robust3d.data.published.files import regular_file
from robust3d.errors import UserError

_ELSEWHERE = re.compile(r"/|[A-Za-z]:|[A-Za-z][\w+.-]*://")
_LONGEST = 1000  # of a name


class NotThere(UserError):
    """A file that a name does not lead to; the message says why."""


class Files(Protocol):
    """Files under one root."""

    @property
    def root(self) -> str:
        """The root as messages name it."""
        ...

    def names(self, folder: str) -> Collection[str]:
        """Names of the files and folders directly in a folder ("" is the root); none if there is no such folder."""
        ...

    def read(self, name: str, limit_bytes: int) -> bytes:
        """The bytes of a file.

        Raises:
            UserError: missing, no plain file, larger than `limit_bytes`, damaged, or out of the root.
        """
        ...


class FolderFiles:
    """Files in a folder; links that lead out of the data set are refused.

    Args:
        folder: the root; it may itself be a link.
        data_set: folder of the data set, in which links may point about; None: `folder`.
        asked_for: name of a file that may be a link to anywhere, for the user asked for it.
    """

    def __init__(self, folder: Path, data_set: Path | None = None, asked_for: str | None = None) -> None:
        self.folder, self.data_set, self.asked_for = folder, data_set or folder, asked_for
        self._listed: dict[str, Collection[str]] = {}

    @property
    def root(self) -> str:
        """The folder."""
        return str(self.folder)

    def names(self, folder: str) -> Collection[str]:
        """Names of the files and folders directly in a folder ("" is the root); none if there is no such folder."""
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(self.folder / folder))
            except (OSError, ValueError):
                self._listed[folder] = frozenset()
        return self._listed[folder]

    def read(self, name: str, limit_bytes: int) -> bytes:
        """The bytes of a file.

        Raises:
            UserError: missing, no plain file, larger than `limit_bytes`, unreadable, or a link out of the data set.
        """
        path = self.folder / name
        if name != self.asked_for and not self._is_inside(path):
            raise UserError(f"{path}: leads out of the data set; put a copy in its place")
        regular_file(path, limit_bytes, "a file of at most that size", empty_too=True)
        try:
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.data_set.resolve())
        except (OSError, RuntimeError, ValueError):  # a ring of links
            return False


def find(files: Files, beside: str, reference: str) -> str:
    """The file that another one names.

    Args:
        files: where to look.
        beside: name of the file that holds the reference, which counts from its folder.
        reference: as it stands there: relative, with slashes or backslashes; where no file has the very name, the one
            that differs in capitals only is meant.

    Returns:
        Its name in `files`.

    Raises:
        NotThere: nothing has that name, two differ from it in capitals, or it is absolute or leads out of the root.
    """
    wanted = reference.strip().replace("\\", "/")
    shown = repr(reference if len(reference) <= 80 else reference[:79] + "…")
    if not wanted or not wanted.isprintable() or len(wanted) > _LONGEST:
        raise NotThere(f"{shown} is no name of a file")
    if _ELSEWHERE.match(wanted):
        raise NotThere(f"{shown} is a path of another computer")
    at: list[str] = beside.split("/")[:-1]
    for part in wanted.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                raise NotThere(f"{shown} leads out of {files.root}")
            at.pop()
        else:
            at.append(_spelling(files, "/".join(at), part, shown))
    return "/".join(at)


def without_root(text: str, files: Files) -> str:
    """A message about one of these files, the same wherever they lie."""
    return text.replace(f"{files.root}/", "").replace(files.root, "its folder")


def _spelling(files: Files, folder: str, name: str, shown: str) -> str:
    """How a file or folder in a folder is really spelled."""
    names = files.names(folder)
    if name in names:
        return name
    alike = sorted(other for other in names if _plain(other) == _plain(name))
    if len(alike) > 1:
        raise NotThere(f"{shown} may be {' or '.join(alike)}")
    if not alike:
        raise NotThere(f"{shown} is not there")
    return alike[0]


def _plain(name: str) -> str:
    """Without capitals, and with accents as one letter: some systems write them as two."""
    return unicodedata.normalize("NFC", name).casefold()
