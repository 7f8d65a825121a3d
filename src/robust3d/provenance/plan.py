"""What a target would run, what it would reuse, what causes it, and how long it took before."""

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robust3d.named import kind_of
from robust3d.provenance import store
from robust3d.provenance.changes import Change, Kind, spec_changes
from robust3d.provenance.lineage import RESULTS, Lineage, Step
from robust3d.provenance.published import read_record, read_the_same, wrong
from robust3d.study.closure import describe
from robust3d.study.config import Study
from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.stages import STAGES
from robust3d.study.targets import target_name, target_path

FIRST = Change("missing", "made for the first time")
GONE = Change("missing", "its files are missing or incomplete")
_LINES, _WIDTH = 36, 112
_KINDS: tuple[Kind, ...] = ("code", "package", "parameter", "seed", "missing", "input")


@dataclass(frozen=True)
class Pending:
    """A job that would be started.

    Attributes:
        job: the job.
        causes: what differs from the last job of the same label, or that there was none.
        copy_of: an earlier job with the same key, whose files would be copied.
        seconds: how long a job like it took, if one is known.
    """

    job: Job
    causes: tuple[Change, ...]
    copy_of: str | None
    seconds: float | None


@dataclass(frozen=True)
class Outlook:
    """What asking for some targets would do.

    Attributes:
        pending: jobs to start, makers before users.
        reused: how many jobs of each stage are not.
        replaced: files under stable names that give way to a copy of what is made or there already, and why.
    """

    pending: tuple[Pending, ...]
    reused: dict[str, int]
    replaced: dict[str, str] = field(default_factory=dict)


def tell_plan(targets: Sequence[str], study: Study, full: bool = False) -> str:
    """The outlook in words.

    Args:
        targets: ``results/table4.csv``, ``results/figure2.png``, …
        study: the study.
        full: every cause of every group of jobs; else one screen.

    Raises:
        UserError: an unknown target.
    """
    found = outlook(targets, study)
    if not found.pending and not found.replaced:
        return f"{', '.join(targets)}: nothing to be done"
    return as_text(found) if full else brief(found)


def outlook(targets: Sequence[str], study: Study) -> Outlook:
    """What asking for some targets would do; see `tell_plan`."""
    plan = Plan(study)
    jobs = [plan.target(target_name(name)) for name in targets]
    return _Forecast([RESULTS, *([Path(study.store)] if study.store else [])]).of(jobs)


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
        """The outlook on some tables and figures."""
        replaced = {}
        for job in jobs:
            if why := wrong(job):
                self._visit(job)
                replaced[target_path(job.params["target"])] = why
            else:
                self.reused.setdefault(job.stage, set()).add(job.id)
        reused = {stage: len(ids) for stage, ids in self.reused.items()}
        return Outlook(tuple(self.pending.values()), reused, replaced)

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
        if not STAGES[job.stage].published:
            return True  # the name is the identity
        record = read_record(job.output("record"))
        return record is not None and read_the_same(record)

    def _copy_of(self, job: Job) -> str | None:
        inputs = {name: [Path(path) for path in paths] for name, paths in job.input_paths().items()}
        if not STAGES[job.stage].reusable or not all(path.exists() for paths in inputs.values() for path in paths):
            return None
        found = store.lookup(store.key_of(json.loads(job.spec), inputs), self.folders)
        return next((str(entry.record["job"]) for entry in found), None)

    def _causes(self, job: Job) -> tuple[Change, ...]:
        before = [step for step in self.earlier.get(job.stage, ()) if step.label == job.label]
        if not before:
            return (FIRST,)
        spec = json.loads(job.spec)
        found = [(self._differences(job, spec, step), step) for step in before]
        causes, _ = min(found, key=lambda item: (len(item[0]), _age(item[1])))
        return tuple(causes) or (GONE,)

    def _differences(self, job: Job, spec: dict[str, Any], step: Step) -> list[Change]:
        then = step.record["spec"]
        now = describe(job.modules) if then["code"] != spec["code"] else {}
        old, new = _made_from(step), {name: paths for name, paths in job.input_paths().items() if paths}
        others = sorted({kind_of(name) for name in {*old, *new} if old.get(name) != new.get(name)})
        changes = spec_changes(then, spec, step.record["code"], now)
        return changes + [Change("input", f"{name} differs") for name in others]

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


def as_text(outlook: Outlook) -> str:
    """Jobs with the same causes together, then what is reused and how long it may take."""
    groups: dict[tuple[str, tuple[Change, ...], bool], list[Pending]] = {}
    for pending in outlook.pending:
        groups.setdefault((pending.job.stage, pending.causes, pending.copy_of is not None), []).append(pending)
    lines = []
    for (stage, causes, copied), group in groups.items():
        lines.append(f"{stage}: {_jobs(group)}")
        lines.append(f"    {', '.join(pending.job.label for pending in group)}")
        lines += [f"    because {_cause(cause)}" for cause in causes]
        if copied:
            lines.append(f"    copied, not computed: {group[0].copy_of} had the same parameters and inputs")
        elif _may_be_copied(group[0]):
            lines.append("    copied, not computed, if its inputs turn out to be the same")
    return "\n".join([*lines, _sum(outlook)])


def brief(outlook: Outlook) -> str:
    """One screen: a line a stage, then its causes by kind; those that all stages share stand once, below."""
    stages: dict[str, list[Pending]] = {}
    for pending in outlook.pending:
        stages.setdefault(pending.job.stage, []).append(pending)
    reasons = {stage: list(_reasons(group)) for stage, group in stages.items()}
    shared = next(iter(reasons.values())) if len({tuple(found) for found in reasons.values()}) == 1 else []
    for most in (_LINES, 2, 1):  # causes of a stage
        lines = []
        for stage, group in stages.items():
            ends = list(dict.fromkeys([group[0].job.label, group[-1].job.label]))
            lines.append(_cut(f"{stage}: {_jobs(group)}: {' … '.join(ends)}"))
            found = [] if shared else reasons[stage]
            lines += [_cut(f"    because {text}") for text in found[:most]]
            lines += [f"    and {len(found) - most} more causes with --full"] if len(found) > most > 1 else []
        if len(lines) <= _LINES:
            break
    return "\n".join([*lines, *(_cut(f"all because {text}") for text in shared), _sum(outlook)])


def _reasons(group: list[Pending]) -> Iterator[str]:
    """The causes of some jobs by kind: each where there are two or fewer, else their number and the first."""
    counts = Counter(cause for pending in group for cause in pending.causes)
    for kind in _KINDS:
        found = [cause for cause, _ in counts.most_common() if cause.kind == kind]
        if kind == "input" and len({cause.kind for cause in counts}) > 1:  # it follows from the causes above
            only = sum(all(cause.kind == "input" for cause in pending.causes) for pending in group)
            if only:
                yield f"its inputs differ ({only} of them)"
            continue
        if len(found) <= 2:
            for cause in found:
                yield _cause(cause) + (f" ({counts[cause]} of them)" if counts[cause] < len(group) else "")
        elif kind == "input":
            yield f"inputs differ: {', '.join(cause.text.split()[0] for cause in found)}"
        else:
            found.sort(key=lambda cause: len(cause.text))
            yield f"{len(found)} changes of {kind}: {', '.join(cause.text for cause in found)}"


def _cause(cause: Change) -> str:
    return cause.text if cause.kind == "missing" else f"{cause.kind} {cause.text}"


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def _may_be_copied(pending: Pending) -> bool:
    """Whether a job would be copied if its inputs came out as they were."""
    return STAGES[pending.job.stage].reusable and all(cause.kind == "input" for cause in pending.causes)


def _jobs(group: list[Pending]) -> str:
    """How many and how long; how many of them are copied, or may be."""
    copied = sum(pending.copy_of is not None for pending in group)
    may = sum(pending.copy_of is None and _may_be_copied(pending) for pending in group)
    known = any(pending.seconds is not None for pending in group)
    text = f"{len(group)} job{'s' if len(group) > 1 else ''}" + (f", {_duration(group)}" if known else "")
    text += f", {copied} copied from earlier ones" if copied else ""
    return text + (f", {may} copied if their inputs turn out to be the same" if may else "")


def _sum(outlook: Outlook) -> str:
    computed = [pending for pending in outlook.pending if pending.copy_of is None]
    reused = ", ".join(f"{count} {stage}" for stage, count in outlook.reused.items()) or "nothing"
    if not outlook.pending:
        text = "a copy of the earlier result replaces it"
        reused += "".join(f"\n{path} {why}; {text}" for path, why in outlook.replaced.items())
    text = f"{len(outlook.pending)} jobs in all, one after another {_duration(computed)}"
    return f"reused as they are: {reused}\n{text}"


def _duration(group: Sequence[Pending]) -> str:
    known = [pending.seconds for pending in group if pending.seconds is not None and pending.copy_of is None]
    unknown = sum(pending.seconds is None for pending in group)
    if not known:
        return "no time" if not unknown else "of unknown duration"
    total = sum(known)
    text = f"about {total:.0f} s" if total < 120 else f"about {total / 60:.0f} min"
    return text + (f" and {unknown} of unknown duration" if unknown else "")
