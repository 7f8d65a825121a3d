"""What a target would run, what it would reuse, what causes it, and how long it took before."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robust3d.errors import UserError
from robust3d.provenance import store
from robust3d.provenance.changes import spec_changes
from robust3d.provenance.lineage import RESULTS, Lineage, Step
from robust3d.study.closure import describe
from robust3d.study.config import Study
from robust3d.study.plan import FIGURES, TABLES, Job, Plan, target_path
from robust3d.study.stages import STAGES


@dataclass(frozen=True)
class Pending:
    """A job that would be started.

    Attributes:
        job: the job.
        causes: in words.
        copy_of: an earlier job with the same key, whose files would be copied.
        seconds: how long a job like it took, if one is known.
    """

    job: Job
    causes: tuple[str, ...]
    copy_of: str | None
    seconds: float | None


@dataclass(frozen=True)
class Outlook:
    """What asking for some targets would do: jobs to start, makers before users, and how many are reused."""

    pending: tuple[Pending, ...]
    reused: dict[str, int]


def tell_plan(targets: Sequence[str], study: Study) -> str:
    """The outlook in words.

    Args:
        targets: ``results/table4.csv``, ``results/figure2.png``, …
        study: the study.

    Raises:
        UserError: an unknown target.
    """
    return as_text(outlook(targets, study), targets)


def outlook(targets: Sequence[str], study: Study) -> Outlook:
    """What asking for some targets would do; see `tell_plan`."""
    plan = Plan(study)
    jobs = [plan.target(_target(name)) for name in targets]
    return _Forecast([RESULTS, *([Path(study.store)] if study.store else [])]).of(jobs)


def _target(name: str) -> str:
    stem = Path(name).name.partition(".")[0]
    if stem not in (*TABLES, *FIGURES) or Path(name).parent != RESULTS:
        known = ", ".join(map(target_path, (*TABLES, *FIGURES)))
        raise UserError(f"{name}: not a target; there are {known}")
    return stem


class _Forecast:
    """Walks from targets to what is missing, as Snakemake does: what is there is not looked behind."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self.lineage = Lineage() if RESULTS.is_dir() else None
        self.earlier: dict[str, list[Step]] = {}
        for step in self.lineage.records() if self.lineage else ():
            self.earlier.setdefault(step.stage, []).append(step)
        self.pending: dict[str, Pending] = {}
        self.reused: dict[str, set[str]] = {}

    def of(self, jobs: list[Job]) -> Outlook:
        """The outlook on some jobs."""
        for job in jobs:
            self._visit(job)
        return Outlook(tuple(self.pending.values()), {stage: len(ids) for stage, ids in self.reused.items()})

    def _visit(self, job: Job) -> None:
        if job.id in self.reused.get(job.stage, ()) or f"{job.stage}/{job.id}" in self.pending:
            return
        if self._is_done(job):
            self.reused.setdefault(job.stage, set()).add(job.id)
            return
        makers = [maker for files in (*job.inputs.values(), *job.bulk.values()) for maker, _ in files]
        for maker in makers:
            self._visit(maker)
        known = self._copy_of(job)
        self.pending[f"{job.stage}/{job.id}"] = Pending(job, self._causes(job), known, self._seconds(job))

    def _is_done(self, job: Job) -> bool:
        if not all(Path(job.output(name)).exists() for name in STAGES[job.stage].outputs):
            return False
        if "{job}" in STAGES[job.stage].outputs["record"]:
            return True  # the name is the identity
        step = self.lineage.step(job.output("record")) if self.lineage else None
        paths = {name: files for name, files in job.input_paths().items() if files}
        return step is not None and step.record["spec"] == json.loads(job.spec) and _made_from(step) == paths

    def _copy_of(self, job: Job) -> str | None:
        inputs = {name: [Path(path) for path in paths] for name, paths in job.input_paths().items()}
        if not STAGES[job.stage].reusable or not all(path.exists() for paths in inputs.values() for path in paths):
            return None
        found = store.lookup(store.key_of(json.loads(job.spec), inputs), self.folders)
        return next((str(entry.record["job"]) for entry in found), None)

    def _causes(self, job: Job) -> tuple[str, ...]:
        """What differs from the last job of the same label, or that there was none."""
        before = [step for step in self.earlier.get(job.stage, ()) if step.label == job.label]
        if not before:
            return ("made for the first time",)
        spec = json.loads(job.spec)
        found = [(self._differences(job, spec, step), step) for step in before]
        causes, _ = min(found, key=lambda item: (len(item[0]), _age(item[1])))
        return tuple(causes) or ("its files are gone or incomplete",)

    def _differences(self, job: Job, spec: dict[str, Any], step: Step) -> list[str]:
        then = step.record["spec"]
        now = describe(job.modules) if then["code"] != spec["code"] else {}
        causes = [f"{c.kind} {c.text}" for c in spec_changes(then, spec, step.record["code"], now)]
        old, new = _made_from(step), {name: paths for name, paths in job.input_paths().items() if paths}
        return causes + [
            f"input {name} is another one" for name in sorted({*old, *new}) if old.get(name) != new.get(name)
        ]

    def _seconds(self, job: Job) -> float | None:
        alike = self.earlier.get(job.stage, [])
        same = [step for step in alike if step.label == job.label]
        times = [float(step.record["seconds"]) for step in same or alike]
        return statistics.median(times) if times else None


def _age(step: Step) -> float:
    from datetime import datetime

    return -datetime.fromisoformat(step.record["started"]).timestamp()


def _made_from(step: Step) -> dict[str, list[str]]:
    return {name: [file.path for file in files] for name, files in step.inputs.items() if files}


def as_text(outlook: Outlook, targets: Sequence[str]) -> str:
    """Jobs with the same causes together, then what is reused and how long it may take."""
    reused = ", ".join(f"{count} {stage}" for stage, count in outlook.reused.items())
    if not outlook.pending:
        return f"{', '.join(targets)}: nothing to be done"
    groups: dict[tuple[str, tuple[str, ...], bool], list[Pending]] = {}
    for pending in outlook.pending:
        groups.setdefault((pending.job.stage, pending.causes, pending.copy_of is not None), []).append(pending)
    lines = []
    for (stage, causes, copied), group in groups.items():
        lines.append(f"{stage}: {len(group)} job(s), {_duration(group)}")
        lines.append(f"    {_names(group)}")
        lines += [f"    because {cause}" for cause in causes]
        if copied:
            lines.append(f"    copied, not computed: {group[0].copy_of} was told and read the same")
        elif STAGES[stage].reusable and all(cause.startswith("input ") for cause in causes):
            lines.append("    copied, not computed, if its inputs come out as they were")
    lines.append(f"reused as they are: {reused or 'nothing'}")
    computed = [pending for pending in outlook.pending if pending.copy_of is None]
    lines.append(f"{len(outlook.pending)} job(s) in all, one after another {_duration(computed)}")
    return "\n".join(lines)


def _names(group: list[Pending]) -> str:
    labels = [pending.job.label for pending in group]
    return ", ".join(labels if len(labels) <= 6 else [*labels[:3], "…", labels[-1]])


def _duration(group: Sequence[Pending]) -> str:
    known = [pending.seconds for pending in group if pending.seconds is not None and pending.copy_of is None]
    unknown = sum(pending.seconds is None for pending in group)
    if not known:
        return "no time" if not unknown else "of unknown duration"
    total = sum(known)
    text = f"about {total:.0f} s" if total < 120 else f"about {total / 60:.0f} min"
    return text + (f" and {unknown} of unknown duration" if unknown else "")
