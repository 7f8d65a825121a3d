"""Early cutoff: finds a finished job with the same parameters that read the same bytes, and copies what it wrote.

A job's key covers its spec (parameters, code, packages) and the content of its inputs, not where they lie.
``<folder>/.known/<key>`` names the records of the jobs that have it, in the project's own ``results`` and in a store
which several checkouts or users share. A copy counts only after its sha256 is found to be the recorded one.

A store is a help and never a danger: what cannot be read or written there is said, and the job goes on without it.
What is put there is as open as the store's folder: who may use the store may use all that is in it.
"""

import contextlib
import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robust3d.files import cause, partial, publish, sha256, write_json, write_text
from robust3d.study.stages import STAGES

RESULTS = Path("results")
KNOWN = ".known"
PROGRESS = RESULTS / ".progress"  # a folder for each job at work
HEAD = PROGRESS / ".head"  # whoever runs jobs in this folder
FICLONE = 0x40049409  # Linux: let a file share another one's blocks


@dataclass(frozen=True)
class Finished:
    """A finished job in some folder.

    Attributes:
        folder: results folder or store that holds it.
        record: its record.
    """

    folder: Path
    record: dict[str, Any]

    @property
    def params(self) -> dict[str, Any]:
        """The job's parameters."""
        return dict(self.record["spec"]["params"])

    def output(self, name: str) -> Path:
        """The path of a named output."""
        return locate(self.folder, self.record["outputs"][name]["path"])

    def is_whole(self, name: str) -> bool:
        """Whether that output is there, can be read and still has the recorded bytes."""
        if name not in self.record["outputs"]:
            return False
        try:
            return sha256(self.output(name)) == self.record["outputs"][name]["sha256"]
        except FileNotFoundError:
            return False
        except OSError as error:
            _tell_unreadable(self.folder, error)
            return False


class NotCopied(Exception):
    """An output of a finished job was not copied; the message names the file and the cause."""


def locate(folder: Path, path: str) -> Path:
    """The place in `folder` of what a record calls ``results/…``."""
    return folder.joinpath(*Path(path).parts[1:])


def content_of(path: Path) -> str:
    """sha256 of what a file says: of its bytes, or of a manifest without the places of the files it names.

    A manifest names each big file with its sha256, so the places add nothing but the digest of a folder's name.
    """
    if path.name != "manifest.json":
        return sha256(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(_without_places(content), sort_keys=True).encode()).hexdigest()


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if not (key == "path" and "sha256" in value)}
    return [_without_places(item) for item in value] if isinstance(value, list) else value


def key_of(spec: dict[str, Any], inputs: dict[str, list[Path]]) -> str:
    """sha256 over all that can shape a job's outputs."""
    read = {name: [content_of(path) for path in paths] for name, paths in inputs.items() if paths}
    return hashlib.sha256(json.dumps([spec, read], sort_keys=True).encode()).hexdigest()


def lookup(key: str, folders: Sequence[Path]) -> Iterator[Finished]:
    """Finished jobs with this key, whose files may be damaged or gone."""
    for folder in folders:
        try:
            names = _noted(folder / KNOWN / key)
        except OSError as error:
            _tell_unreadable(folder, error)
            continue
        yield from filter(None, (_finished(folder, locate(folder, name)) for name in names))


def _noted(note: Path) -> list[str]:
    """The records that a note names; none where there is no note or no sense in it.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return note.read_text(encoding="utf-8").split("\n")[:-1]
    except (FileNotFoundError, ValueError):
        return []


def _finished(folder: Path, path: Path) -> Finished | None:
    """The job of a record; None where it is gone, cannot be read or is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _ = record["job"], record["spec"]["params"], [(o["path"], o["sha256"]) for o in record["outputs"].values()]
    except FileNotFoundError:
        return None
    except OSError as error:
        _tell_unreadable(folder, error)
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Finished(folder, record)


_reported: set[tuple[Path, int | None]] = set()


def _tell_unreadable(folder: Path, error: OSError) -> None:
    """Say once for each folder and cause what cannot be read."""
    if (folder, error.errno) not in _reported:
        _reported.add((folder, error.errno))
        why = f"{error.filename or folder}: cannot be read ({cause(error)})"
        print(f"{why}; what cannot be read in {folder} is computed again, not copied", file=sys.stderr)


def copy(found: Finished, outputs: dict[str, Path]) -> bool:
    """Copy all outputs of a finished job, or none and say why not."""
    try:
        _copy(found, outputs)
    except NotCopied as error:
        print(f"{error}, so it is computed again, not copied", file=sys.stderr)
        return False
    return True


def _copy(found: Finished, outputs: dict[str, Path]) -> None:
    temporary = {name: partial(path) for name, path in outputs.items()}
    try:
        for name, path in temporary.items():
            fetch(found, name, path)
        for name, path in outputs.items():
            publish(temporary[name], path)
    except OSError as error:
        place = next(iter(outputs.values())).parent
        raise NotCopied(f"{found.record['job']}: cannot be copied to {place} ({cause(error)})") from None
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def fetch(found: Finished, name: str, target: Path) -> None:
    """Copy one output of a finished job to a place of its own.

    Raises:
        NotCopied: its record does not name it, it cannot be read, or it is not the file of the record.
        OSError: the target cannot be written.
    """
    if name not in found.record["outputs"]:
        raise NotCopied(f"{found.record['job']}: its record names no {name}")
    _clone(found.output(name), target)
    if sha256(target) != found.record["outputs"][name]["sha256"]:
        raise NotCopied(f"{found.output(name)}: differs from its record")


def _clone(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can."""
    try:
        read = source.open("rb")
    except OSError as error:
        raise NotCopied(f"{source}: cannot be read ({cause(error)})") from None
    with read, target.open("wb") as write:
        try:
            fcntl.ioctl(write, FICLONE, read.fileno())
        except OSError:
            shutil.copyfileobj(read, write, 1 << 20)


def remember(folder: Path, key: str, record: Path) -> None:
    """Note which record has a key, beside others that have it; `record` is named from the project's root."""
    note = folder / KNOWN / key
    names = _noted(note)
    if str(record) not in names:
        _write_note(note, [*names, str(record)])


def forget(folder: Path) -> None:
    """Remove what is noted of records that are gone."""
    for note in (folder / KNOWN).glob("*"):
        try:
            names = _noted(note)
        except OSError as error:
            _tell_unreadable(folder, error)
            continue
        kept = [name for name in names if locate(folder, name).exists()]
        if not kept:
            note.unlink(missing_ok=True)
        elif kept != names:
            _write_note(note, kept)


def _write_note(note: Path, names: Sequence[str]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    write_text(note, "".join(f"{name}\n" for name in names))


def announce(key: str, record: dict[str, Any], record_path: Path, shared: Path | None) -> None:
    """Let later jobs find a finished one: note it in the project's results and put it into the shared store, if any."""
    with _harmless(RESULTS, record_path):
        remember(RESULTS, key, record_path)
    if shared is not None:
        share(shared, key, record, record_path)


@contextlib.contextmanager
def _harmless(folder: Path, record_path: Path) -> Iterator[None]:
    """Say what goes wrong, and go on: the job is finished and its files are whole."""
    try:
        yield
    except (NotCopied, OSError) as error:
        why = f"{error.filename or folder}: {cause(error)}" if isinstance(error, OSError) else error
        print(
            f"warning: {folder} does not offer {record_path.parent} to other jobs, they will compute it again ({why})",
            file=sys.stderr,
        )


def share(store: Path, key: str, record: dict[str, Any], record_path: Path) -> None:
    """Put a finished job into a store, its record last; what is there already stays.

    What goes wrong is said and stops nothing.
    """
    with _harmless(store, record_path):
        if any(all(map(found.is_whole, record["outputs"])) for found in lookup(key, [store])):
            return
        places = {name: locate(store, output["path"]) for name, output in record["outputs"].items()}
        for place in places.values():
            _make_folder(store, place.parent)
        _copy(Finished(RESULTS, record), places)
        write_json(locate(store, str(record_path)), record)
        for path in (*places.values(), locate(store, str(record_path))):
            _open_up(store, path)
        _make_folder(store, store / KNOWN)
        remember(store, key, record_path)
        _open_up(store, store / KNOWN / key)


def _make_folder(store: Path, folder: Path) -> None:
    """Make a folder in a store and what is above it."""
    store.mkdir(parents=True, exist_ok=True)
    missing = [path for path in (folder, *folder.parents) if path.is_relative_to(store) and not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _open_up(store, path)


def _open_up(store: Path, path: Path) -> None:
    """Give what was made in a store the group of the store's folder, and the permissions that its users need."""
    wanted, made = store.stat(), path.stat()
    mode = stat.S_IMODE(made.st_mode) | stat.S_IMODE(wanted.st_mode) & (0o7777 if path.is_dir() else 0o444)
    if made.st_gid != wanted.st_gid:
        with contextlib.suppress(OSError):  # this user is not of the group
            os.chown(path, -1, wanted.st_gid)
    if mode != stat.S_IMODE(path.stat().st_mode):
        with contextlib.suppress(OSError):  # a file system without permissions
            path.chmod(mode)


def trouble(store: Path) -> str | None:
    """What will keep jobs from using a store, or None; makes its folder if need be."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"{store.absolute()} cannot be written ({cause(error)})"
    try:
        folders = [store, *(path for name in (KNOWN, *STAGES) if (path := store / name).is_dir())]
    except OSError as error:
        return f"{store.absolute()} cannot be read ({cause(error)})"
    closed = [str(path.absolute()) for path in folders if not os.access(path, os.R_OK | os.W_OK | os.X_OK)]
    return f"{', '.join(closed)} cannot be read or written (permission)" if closed else None


def alike(stage: str, job: str, spec: dict[str, Any], folders: Sequence[Path]) -> Iterator[Finished]:
    """Finished jobs of the same stage, code and packages whose names differ in numbers only.

    Args:
        stage: the stage.
        job: folder name of the job that asks.
        spec: its spec.
        folders: results folder and store.
    """
    pattern = re.sub(r"\d+", "*", job.rpartition("-")[0]) + "-*"
    for folder in folders:
        try:
            names = sorted(fnmatch.filter(os.listdir(folder / stage), pattern))
        except FileNotFoundError:
            continue
        except OSError as error:
            _tell_unreadable(folder, error)
            continue
        for name in names:
            found = _finished(folder, folder / stage / name / "record.json") if name != job else None
            keys = ("stage", "modules", "code", "packages", "numerics")
            if found is not None and all(found.record["spec"].get(key) == spec.get(key) for key in keys):
                yield found
