"""Early cutoff: finds a finished job that was told the same and read the same bytes, and copies what it wrote.

A job's key covers its spec (parameters, code, packages) and the content of its inputs, not where they lie.
``<folder>/.known/<key>`` names the records of the jobs that have it, in the project's own ``results`` and in a store
which several checkouts or users share. A copy counts only after its sha256 is found to be the recorded one.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robust3d.provenance.files import partial, publish, sha256, write_json

RESULTS = Path("results")
KNOWN = ".known"


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
        """What the job was told."""
        return dict(self.record["spec"]["params"])

    def output(self, name: str) -> Path:
        """Where a named output lies."""
        return locate(self.folder, self.record["outputs"][name]["path"])

    def is_whole(self, name: str) -> bool:
        """Whether that output still has the recorded bytes."""
        try:
            return sha256(self.output(name)) == self.record["outputs"][name]["sha256"]
        except OSError:
            return False


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
        for name in _noted(folder / KNOWN / key):
            try:
                yield Finished(folder, json.loads(locate(folder, name).read_text(encoding="utf-8")))
            except (OSError, ValueError):
                continue


def _noted(note: Path) -> list[str]:
    """The records that a note names."""
    try:
        return note.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, ValueError):
        return []


def copy(found: Finished, outputs: dict[str, Path]) -> bool:
    """Copy all outputs of a finished job, or none and say so if one is not what its record says."""
    temporary = {name: partial(path) for name, path in outputs.items()}
    try:
        for name, path in temporary.items():
            if not _copied(found.output(name), path) or sha256(path) != found.record["outputs"][name]["sha256"]:
                place = found.output(name)
                print(f"{place}: not the file of its record any more, so it is made anew, not copied", file=sys.stderr)
                return False
        for name, path in outputs.items():
            publish(temporary[name], path)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return True


def _copied(source: Path, target: Path) -> bool:
    """Copy a file, sharing its blocks where the file system can."""
    return subprocess.run(["cp", "--reflink=auto", "--", source, target], stderr=subprocess.DEVNULL).returncode == 0


def remember(folder: Path, key: str, record: Path) -> None:
    """Note which record has a key, beside others that have it; `record` is named from the project's root."""
    note = folder / KNOWN / key
    names = _noted(note)
    if str(record) not in names:
        _write_note(note, [*names, str(record)])


def forget(folder: Path) -> None:
    """Remove what is noted of records that are gone."""
    for note in (folder / KNOWN).glob("*"):
        names = _noted(note)
        kept = [name for name in names if locate(folder, name).exists()]
        if not kept:
            note.unlink(missing_ok=True)
        elif kept != names:
            _write_note(note, kept)


def _write_note(note: Path, names: Sequence[str]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial(note)
    temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    publish(temporary, note)


def share(store: Path, key: str, record: dict[str, Any], record_path: Path) -> None:
    """Put a finished job into a store, its record last; what is there already stays."""
    if any(all(map(found.is_whole, found.record["outputs"])) for found in lookup(key, [store])):
        return
    files = {name: Path(output["path"]) for name, output in record["outputs"].items()}
    places = {name: locate(store, str(path)) for name, path in files.items()}
    for place in places.values():
        place.parent.mkdir(parents=True, exist_ok=True)
    if copy(Finished(RESULTS, record), places):
        write_json(locate(store, str(record_path)), record)
        remember(store, key, record_path)


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
        for path in sorted((folder / stage).glob(f"{pattern}/record.json")):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            alike = ("stage", "modules", "code", "packages", "numerics")
            same = all(record["spec"].get(name) == spec.get(name) for name in alike)
            if same and path.parent.name != job:
                yield Finished(folder, record)
