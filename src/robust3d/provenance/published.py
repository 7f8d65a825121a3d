"""Tables and figures under stable names: `results/table4.csv` is a copy of the Table 4 that was requested last.

They are made in folders named by their digest, like everything else. The record beside a copy is that of the job, with
the copies as its outputs, so that everything that reads records follows and rehashes the copies too.
"""

import json
from pathlib import Path
from typing import Any

from robust3d import files
from robust3d.errors import UserError
from robust3d.files import cause, clear_partial, partial, seal, sealed, sha256, write_json
from robust3d.provenance.attribution import attribution
from robust3d.provenance.lineage import Lineage
from robust3d.provenance.store import RESULTS, Finished, NotCopied, fetch
from robust3d.study.jobs import Job
from robust3d.study.targets import published_paths

_SMALL = 1_000_000  # bytes; metrics and outcomes are smaller, what is larger has a manifest that names its sha256


def publish(record_path: Path, places: dict[str, Path]) -> None:
    """Put copies of a finished table or figure in the place of the former ones, the record last.

    Args:
        record_path: record of the job that made it.
        places: the stable names by output, the record's among them.

    Where it rests on objects whose creators have to be named, `<name>.attribution.txt` beside it names them.

    Raises:
        UserError: there is no record, or a file is not the one of it.
    """
    record = read_record(str(record_path))
    if record is None:
        raise UserError(f"{record_path}: no readable record of a job; start snakemake again")
    data = {name: path for name, path in places.items() if name != "record"}
    temporary = {name: partial(path) for name, path in places.items()}
    for path in places.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_partial(path)
    try:
        for name in data:
            fetch(Finished(RESULTS, record), name, temporary[name])
        outputs = {name: record["outputs"][name] | {"path": str(path)} for name, path in data.items()}
        copied = record | {"outputs": outputs, "published": {"from": str(record_path.parent)}}
        write_json(temporary["record"], sealed(copied))
        _write_attribution(places["record"], record_path)
        for name in [*data, "record"]:
            files.publish(temporary[name], places[name])
    except NotCopied as error:
        raise UserError(f"{error}; delete the folder {record_path.parent}") from None
    except OSError as error:
        where = error.filename2 or error.filename or places["record"].parent
        raise UserError(f"{where}: cannot be written ({cause(error)})") from None
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def _write_attribution(place: Path, record_path: Path) -> None:
    """Write, or take away, the attribution beside a stable name."""
    path = place.with_name(place.name.removesuffix(".record.json") + ".attribution.txt")
    lineage = Lineage()
    step = lineage.step(str(record_path))
    text = attribution(lineage, step) if step is not None else ""
    if text:
        files.write_text(path, text)
    else:
        path.unlink(missing_ok=True)


def read_record(path: str) -> dict[str, Any] | None:
    """A record, or None where there is no readable one."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        files = [*record["outputs"].values(), *(file for named in record["inputs"].values() for file in named)]
        _ = record["job"], record["spec"]["params"].get, [(f["path"], f["sha256"], f["bytes"]) for f in files]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(record)


def read_the_same(record: dict[str, Any]) -> bool:
    """Whether the small files that a job read, metrics and outcomes say, still have the bytes it read."""
    found = [file for named in record["inputs"].values() for file in named if file["bytes"] < _SMALL]
    return all(_is_same(file) for file in found if Path(file["path"]).exists())


def _is_same(file: dict[str, Any]) -> bool:
    try:
        return sha256(Path(file["path"])) == file["sha256"]
    except OSError:
        return False


def wrong(job: Job) -> str:
    """What keeps the files under the stable names of a table or figure from being this job's; empty: nothing."""
    paths = published_paths(job.params["target"])
    record = read_record(paths["record"])
    there = [path for path in paths.values() if Path(path).exists()]
    if record is None:
        return "has no record" if there else "is not there"
    if record.get("seal") != seal(record):
        return "has a record that was changed after it was written"
    if record["job"] != job.id:
        theirs, ours = record["spec"]["params"].get("study"), job.params.get("study")
        if theirs is not None and theirs != ours:
            return f"is of study {theirs!r}"
        return "was made with other parameters, code or inputs"
    if len(there) < len(paths):
        return "is incomplete"
    if not all(map(_is_same, record["outputs"].values())):
        return "has other bytes than its record says"
    return "" if read_the_same(record) else "was made from files that have other bytes now"
