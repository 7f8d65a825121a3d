"""Unpacks archives and writes folders: complete or not at all, and never outside the requested folder."""

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from robust3d.data.published.files import MIB, regular_file, why
from robust3d.errors import UserError

_LARGEST_ARCHIVE = 1 << 42
_LARGEST_HEADER = 16 * MIB  # a single read of more than this is no honest archive's


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into that becomes `folder` at the end, or vanishes if the writing fails.

    Raises:
        UserError: `folder` is there and not empty, or cannot be made.
    """
    folder = Path(folder).absolute()
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UserError(f"{folder}: exists already and is not an empty folder; name a new one or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from None
    try:
        yield hidden
        mask = os.umask(0)
        os.umask(mask)
        hidden.chmod(0o777 & ~mask)
        os.replace(hidden, folder)  # also over an empty folder
    except OSError as error:  # such as a full disk
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}; nothing is left of it") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def extract_archive(path: Path, folder: Path, limit_bytes: int = 200 << 30) -> None:
    """Unpack a zip or (compressed) tar archive into a new folder.

    Args:
        path: of the archive.
        folder: does not exist yet or is empty; it appears when everything is unpacked.
        limit_bytes: largest size of all files together.

    Raises:
        UserError: not an archive, damaged, too large, or with members that are links or devices or that
            would lie outside the folder. Nothing is left behind then.
    """
    path = Path(path)
    regular_file(path, _LARGEST_ARCHIVE, "an archive")
    with new_folder(folder) as hidden:
        try:
            if zipfile.is_zipfile(path):
                _extract_zip(path, hidden, limit_bytes)
            else:
                _extract_tar(path, hidden, limit_bytes)
        except UserError:
            raise
        except Exception as error:  # damaged archives raise a dozen kinds of exceptions
            raise UserError(f"{path}: not a readable zip or tar archive ({why(error)}); download it again") from None


def _extract_zip(path: Path, folder: Path, limit_bytes: int) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check_room(path, sum(entry.file_size for entry in entries), limit_bytes, folder)
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            target = _inside(path, folder, entry.filename)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(f"{path}: {entry.filename!r} is a link or device; refused, nothing was unpacked")
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                with archive.open(entry) as source:
                    _copy(source, target)


def _extract_tar(path: Path, folder: Path, limit_bytes: int) -> None:
    with _decompressed(path) as stream, tarfile.open(fileobj=_Bounded(stream, path), mode="r:") as archive:  # type: ignore[call-overload]
        total = 0
        for member in archive:
            target = _inside(path, folder, member.name)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            source = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if source is None:
                raise UserError(f"{path}: {member.name!r} is a link or device; refused, nothing was unpacked")
            total += member.size
            _check_room(path, total, limit_bytes, folder, member.size)
            _copy(source, target)


def _decompressed(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.open(path)  # type: ignore[return-value]
    if magic == b"\xfd7zXZ\0":
        return lzma.open(path)  # type: ignore[return-value]
    return path.open("rb")


class _Bounded:
    """A stream that refuses one enormous read, as a forged header of a tar archive would ask for."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self.stream, self.path = stream, path

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise UserError(f"{self.path}: a header of {size:,} bytes; this is not a valid tar archive")
        return self.stream.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _inside(path: Path, folder: Path, name: str) -> Path:
    """Where a member goes."""
    if "\\" in name:
        raise UserError(
            f"{path}: {name!r} is written with backslashes; pack it again with slashes, nothing was unpacked"
        )
    if leads_outside(name):
        raise UserError(f"{path}: {name!r} would be written outside the folder; refused, nothing was unpacked")
    return folder / PurePosixPath(name)


def leads_outside(name: str) -> bool:
    """Whether a member's name could lead out of the archive's folder on some system: absolute, a drive's, by ``..``."""
    pure = PurePosixPath(name)
    return pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or ":" in name.split("/")[0]


def _check_room(path: Path, total: int, limit_bytes: int, folder: Path, ahead: int | None = None) -> None:
    if total > limit_bytes:
        raise UserError(f"{path}: unpacks to {total:,} bytes or more; at most {limit_bytes:,} are allowed")
    free = shutil.disk_usage(folder).free
    if (total if ahead is None else ahead) > free:
        raise UserError(f"{path}: unpacks to {total:,} bytes, but {folder.parent} has {free:,} free")


def _copy(source: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:  # a name that stands twice is refused
        shutil.copyfileobj(source, file, MIB)
