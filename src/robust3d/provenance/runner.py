"""Runs one stage as a job: refuses other code or packages than the spec's, publishes whole outputs, writes the record.

The record is a JSON sidecar with everything a reviewer needs to trace or repeat the job; nothing depends on it.
"""

import importlib.metadata
import json
import os
import platform
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from robust3d import loading, registry
from robust3d.errors import STOPPED, UserError
from robust3d.files import clear_partial, partial, publish, sealed, sha256, write_json
from robust3d.named import input_name
from robust3d.provenance import store
from robust3d.provenance.machine import describe_machine
from robust3d.provenance.owner import only_owner
from robust3d.provenance.store import RESULTS, Finished
from robust3d.scratch import private_temp
from robust3d.study.accepted import acceptance, accepted_digest
from robust3d.study.closure import closure, closure_digest, describe, is_neutral, module_file, source
from robust3d.study.numerics import one_thread
from robust3d.study.places import own_file
from robust3d.study.stages import LOCK, STAGES

Paths = dict[str, list[Path]]


@dataclass(frozen=True)
class Context:
    """What a stage gets: its parameters and where to read and write.

    Attributes:
        params: resolved parameters, as plain JSON values.
        inputs: named lists of files.
        outputs: where to write each named output; the runner publishes them when the stage has returned.
        progress: a folder that outlives a killed run of this very job, for checkpoints.
        threads: cores granted; a result must not depend on it.
        alike: finished jobs of this stage, code and packages with other parameters; parts may be reused.
        notes: further facts that the stage adds to the record.
    """

    params: dict[str, Any]
    inputs: Paths
    outputs: dict[str, Path]
    progress: Path
    threads: int
    alike: Callable[[], Iterator[Finished]] = lambda: iter(())
    notes: dict[str, Any] = field(default_factory=dict)

    def input(self, name: str) -> Path:
        """The one file of an input that is always there."""
        (path,) = self.inputs[name]
        return path

    def named(self, kind: str, name: str) -> Path:
        """The one of the files of a kind that bears a name, such as the outcomes that a cell shows."""
        return self.input(input_name(kind, name))

    def write_json(self, name: str, value: Any) -> None:
        """Write a named output as JSON for people: indented, keys sorted."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        self.outputs[name].write_text(text + "\n", encoding="utf-8")

    def optional(self, name: str) -> Path | None:
        """The file of an input that may be absent."""
        paths = self.inputs.get(name, [])
        return paths[0] if paths else None

    def named_optional(self, kind: str, name: str) -> Path | None:
        """The same of a file that may be absent."""
        return self.optional(input_name(kind, name))

    def borrow(self, other: Finished, name: str) -> Path | None:
        """A whole output of another job that stays while this one runs: a copy if it is in a store, which may vanish.

        None if it is not what its record says, or cannot be read.
        """
        if other.folder == RESULTS:
            return other.output(name) if other.is_whole(name) else None
        path = self.progress / "borrowed" / other.record["job"] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path if store.copy(other, {name: path}) else None


def run(
    spec_text: str,
    job: str,
    inputs: Paths,
    outputs: dict[str, Path],
    threads: int,
    command: list[str],
    shared: Path | None = None,
    apart: Path | None = None,
) -> None:
    """Run one job to its published outputs and record, or copy them from a job that had the same parameters and inputs.

    Args:
        spec_text: canonical JSON of `robust3d.study.jobs.Job.spec`.
        job: the job's folder name.
        inputs: named lists of files.
        outputs: named files, the record among them.
        threads: cores granted.
        command: for the record.
        shared: a store of finished jobs in addition to the project's own results.
        apart: a folder for a repetition: what is finished is not looked at, and nothing outside is touched.

    Raises:
        UserError: the code or a package on disk is not that of the spec, or the stage refused its input.
    """
    spec = json.loads(spec_text)
    roots = tuple(spec["modules"])
    progress = (apart or store.PROGRESS) / job
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with only_owner(progress), private_temp():
        # Not before: the former owner may have worked for hours. Files may be edited from now on: sources are held.
        _check_code(spec, roots)
        _check_packages(spec["packages"])
        lock = sha256(own_file(LOCK))
        for path in outputs.values():
            clear_partial(path)  # what a killed owner left
        if _already_done(spec, inputs, outputs):
            shutil.rmtree(progress, ignore_errors=True)
            return  # a run whose head process was killed has finished meanwhile
        started = time.time()
        data = {name: path for name, path in outputs.items() if name != "record"}
        key = store.key_of(spec, inputs) if STAGES[spec["stage"]].reusable and apart is None else None
        input_files = {name: [_describe(p) for p in paths] for name, paths in inputs.items()}
        folders = [] if apart else [RESULTS, *([shared] if shared else [])]
        found = _copied(key, data, folders)
        if found is not None:
            output_files = {name: _describe(path) for name, path in data.items()}
            place = found.output(next(iter(data))).parent
            reused = {"from": str(place), "job": found.record["job"], "at": _now(started)}
            first = found.record.get("reused") or {}
            record = found.record | {"job": job, "inputs": input_files, "outputs": output_files}
            record["reused"] = reused | {"first_made_by": first.get("first_made_by", found.record["job"])}
        else:
            context = Context(
                spec["params"],
                inputs,
                {name: partial(path) for name, path in data.items()},
                progress,
                threads,
                lambda: store.alike(spec["stage"], job, spec, folders),
            )
            files = {module: module_file(module) for module in closure(roots)}
            sources = {module: (str(path), source(path)) for module, path in files.items()}
            with loading.held(sources, progress / "sources"):
                _compute(context, spec["stage"], roots, data)
            output_files = {name: _describe(path) for name, path in data.items()}
            record = _record(spec, roots, lock, job, command, input_files, output_files, started, threads)
            record |= {"key": key, "notes": context.notes, "reused": None}
        record = sealed(record)
        write_json(outputs["record"], record)
        if key is not None:
            store.announce(key, record, outputs["record"], shared)
        shutil.rmtree(progress, ignore_errors=True)


def _copied(key: str | None, outputs: dict[str, Path], folders: list[Path]) -> Finished | None:
    """The finished job whose outputs were copied, if there is a whole one."""
    if key is None:
        return None
    return next((found for found in store.lookup(key, folders) if store.copy(found, outputs)), None)


def _compute(context: Context, stage: str, roots: tuple[str, ...], outputs: dict[str, Path]) -> None:
    """Let the stage write and make its outputs appear, all or none of them."""
    try:
        one_thread()
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        registry.load("stage", stage).run(context)
        _check_imports(roots)
        for name, path in outputs.items():
            publish(context.outputs[name], path)
    finally:
        for path in context.outputs.values():
            path.unlink(missing_ok=True)


def _check_code(spec: dict[str, Any], roots: tuple[str, ...]) -> None:
    if accepted_digest(roots, closure_digest(roots)) != spec["code"]:
        raise UserError(
            f"{spec['stage']}: the code has changed since this job was planned, so its outputs would not match its "
            "name; start snakemake again"
        )


def _check_packages(packages: dict[str, str]) -> None:
    for name, wanted in packages.items():
        try:
            found = importlib.metadata.version(name) or "half installed"  # None while an installer is at work
        except importlib.metadata.PackageNotFoundError:
            found = "nothing"
        if found.partition("+")[0] != wanted:
            raise UserError(
                f"envs/requirements.lock asks for {name} {wanted}, installed is {found}; "
                "run `make environment`, or lock what you want to use"
            )


def _check_imports(roots: tuple[str, ...]) -> None:
    """A module outside the closure could shape the result without being part of the digest."""
    allowed = set(closure(roots))
    loaded = {name for name in sys.modules if name == "robust3d" or name.startswith("robust3d.")}
    strangers = sorted(name for name in loaded if not is_neutral(name) and name not in allowed)
    if strangers:
        raise UserError(f"imported outside the job's code closure: {', '.join(strangers)}; import them by name")


def _already_done(spec: dict[str, Any], inputs: Paths, outputs: dict[str, Path]) -> bool:
    try:
        record = json.loads(outputs["record"].read_text())
        return (
            record["spec"] == spec
            and all(sha256(Path(f["path"])) == f["sha256"] for f in record["outputs"].values())
            and all(
                [sha256(p) for p in paths] == [f["sha256"] for f in record["inputs"][name]]
                for name, paths in inputs.items()
            )
        )
    except (OSError, ValueError, KeyError):
        return False


def _describe(path: Path) -> dict[str, Any]:
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}


def _record(
    spec: dict[str, Any],
    roots: tuple[str, ...],
    lock: str,
    job: str,
    command: list[str],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    started: float,
    threads: int,
) -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "schema": 2,
        "job": job,
        "spec": spec,
        "command": command,
        "code": describe(roots),
        "accepted": acceptance(roots, closure_digest(roots)),
        "inputs": inputs,
        "outputs": outputs,
        "environment": {
            "python": platform.python_version(),
            "lock": lock,
            "packages": {name: importlib.metadata.version(name) for name in spec["packages"]},
        },
        "host": describe_machine(threads),
        "slurm": {k: v for k, v in os.environ.items() if k in ("SLURM_JOB_ID", "SLURM_JOB_NODELIST")},
        "started": _now(started),
        "seconds": round(time.time() - started, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime + children.ru_utime + children.ru_stime, 2),
        "peak_memory_mb": round(max(usage.ru_maxrss, children.ru_maxrss) / 1024, 1),
    }


def _now(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def exit_on_sigterm() -> None:
    """Turn the first SIGTERM into SystemExit: temporary files are removed, long stages save how far they are.

    At a time limit SLURM sends it twice; the second one must not interrupt the saving.
    """

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(STOPPED)

    signal.signal(signal.SIGTERM, stop)
