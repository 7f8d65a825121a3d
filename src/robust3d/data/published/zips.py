"""Reads members of ZIP archives that others made, without unpacking them; what is odd about one is refused by name."""

import stat
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from robust3d.data.published.archives import leads_outside
from robust3d.data.published.files import MIB, reading, regular_file
from robust3d.errors import UserError

_LARGEST_ARCHIVE = 4 << 30
_MOST_MEMBERS = 100_000
_LARGEST_MEMBER = 1 << 30
_LARGEST_TOTAL = 16 << 30
_HIGHEST_RATIO = 200  # of unpacked to packed size; text and pictures stay under 20, a bomb reaches 1,000
_SMALL = MIB  # below this a ratio means nothing
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1  # flag of a member


class ZipArchive:
    """An archive whose directory is sound: no member can lead outside, is a link, or unpacks to more than is read.

    It is one of `robust3d.data.published.rooted.Files`.

    Args:
        path: of the archive.
        kind: what it should be, for messages.

    Raises:
        UserError: it cannot be read, or a member is refused; the message names the archive and the member.
    """

    def __init__(self, path: Path, kind: str = "a ZIP archive") -> None:
        self.path = path
        regular_file(path, _LARGEST_ARCHIVE, kind)
        with reading(path, f"not {kind} that can be read, or cut off", "download it again"):
            self._archive = zipfile.ZipFile(path)
        self._members = _checked(path, self._archive.infolist())
        self._folders: dict[str, set[str]] = {}
        for name in self._members:
            parts = name.split("/")
            for depth in range(len(parts)):
                self._folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])

    @property
    def root(self) -> str:
        """The archive."""
        return str(self.path)

    def names(self, folder: str = "") -> Collection[str]:
        """Names of the files and folders directly in a folder ("" is the root); none if there is no such folder."""
        return self._folders.get(folder, ())

    def size(self, name: str) -> int:
        """Bytes of a member, unpacked.

        Raises:
            UserError: there is no such member.
        """
        return self._member(name).file_size

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise UserError(f"{self.path / name}: there is no such file in the archive; download it again")
        return self._members[name]

    def read(self, name: str, limit_bytes: int = _LARGEST_MEMBER) -> bytes:
        """The bytes of a member.

        Args:
            name: of the member.
            limit_bytes: largest size; judged before anything is unpacked.

        Raises:
            UserError: no such member, too large, or damaged.
        """
        where = self.path / name
        entry = self._member(name)
        if entry.file_size > limit_bytes:
            raise UserError(f"{where}: unpacks to {entry.file_size:,} bytes; at most {limit_bytes:,} are read")
        with reading(where, "a damaged member of the archive", "download it again"):
            content = self._archive.read(entry)  # no more than it says, and checked against its checksum
            if len(content) != entry.file_size:
                raise UserError(f"{where}: cut off: {len(content):,} of {entry.file_size:,} bytes; download it again")
        return content

    def close(self) -> None:
        """Close the file."""
        self._archive.close()


def _checked(path: Path, entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members that are files, by name."""
    if len(entries) > _MOST_MEMBERS:
        raise UserError(f"{path}: {len(entries):,} members; at most {_MOST_MEMBERS:,} are read")
    total = 0
    found: dict[str, zipfile.ZipInfo] = {}
    names: set[PurePosixPath] = set()
    for entry in entries:
        if wrong := _why_refused(entry):
            raise UserError(f"{path}: member {entry.orig_filename!r:.200}: {wrong}; refused, nothing was read")
        if PurePosixPath(entry.filename) in names:
            raise UserError(f"{path}: member {entry.filename!r:.200}: stands there twice; refused, nothing was read")
        names.add(PurePosixPath(entry.filename))
        total += entry.file_size
        if not entry.is_dir():
            found[entry.filename] = entry
    if total > _LARGEST_TOTAL:
        raise UserError(f"{path}: unpacks to {total:,} bytes; at most {_LARGEST_TOTAL:,} are read")
    return found


def _why_refused(entry: zipfile.ZipInfo) -> str:
    """What is wrong with a member; empty: nothing."""
    if entry.orig_filename != entry.filename or not entry.filename.isprintable():
        return "a name with characters that are none"
    if "\\" in entry.filename:
        return "a name with backslashes, as some programs of Windows write; pack it again with slashes"
    if leads_outside(entry.filename) or not (entry.is_dir() or PurePosixPath(entry.filename).parts):
        return "a name that leads out of the archive's folder"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or device"
    if entry.flag_bits & _ENCRYPTED:
        return "encrypted"
    if entry.compress_type not in _METHODS:
        return f"packed by method {entry.compress_type}, which is not read; pack it again as a usual ZIP"
    if entry.file_size > _LARGEST_MEMBER:
        return f"unpacks to {entry.file_size:,} bytes, at most {_LARGEST_MEMBER:,} are read"
    if entry.file_size > _SMALL and entry.file_size > _HIGHEST_RATIO * entry.compress_size:
        return f"{entry.compress_size:,} bytes that unpack to {entry.file_size:,}"
    return ""
