"""How far a run is: what is done, what runs, what is left, and for how long.

A head (`snakemake`) writes the list of its jobs when it starts (`write_asked`), beside the file that says who it is. A
job that runs owns a folder of progress. What is finished is on disk; how long the rest takes is known from the records
of earlier jobs: of those with the same parameters, or else the same label, or else of the same stage.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from robust3d.errors import UserError
from robust3d.files import write_text
from robust3d.provenance.lineage import RESULTS, Lineage
from robust3d.provenance.owner import ASKED, alive
from robust3d.provenance.published import wrong
from robust3d.provenance.store import HEAD, PROGRESS
from robust3d.study.config import Study
from robust3d.study.jobs import Job, canonical_json
from robust3d.study.plan import Plan
from robust3d.study.targets import output_path, target_name, target_path

Key = tuple[str, str]  # stage and folder name of a job
Kinds = Mapping[Key, str]  # jobs, and of which kind each is
_RUNNING, _WIDTH = 12, 112  # lines of running jobs; columns


@dataclass(frozen=True)
class Running:
    """A job at work.

    Attributes:
        key: its stage and folder name.
        owner: process and machine, or SLURM job.
        seconds: since when, if its owner says so.
    """

    key: Key
    owner: str
    seconds: float | None


@dataclass(frozen=True)
class Status:
    """The state of some jobs.

    Attributes:
        title: what they make, and whose run it is.
        jobs: all of them, makers before users, with their kinds.
        done: those that are finished.
        running: those at work now.
        usual: how long a job took, by kind, by the label that it has without its digest, and by stage: medians of
            seconds.
    """

    title: str
    jobs: Kinds
    done: frozenset[Key]
    running: tuple[Running, ...]
    usual: dict[str, float]

    def seconds(self, key: Key) -> float | None:
        """How long a job like it took."""
        names = (self.jobs.get(key, ""), f"{key[0]}/{without_digest(key[1])}", key[0])
        return next((self.usual[name] for name in names if name in self.usual), None)


def kind(spec: str | Mapping[str, Any]) -> str:
    """Of jobs that take equally long: a digest of stage and parameters without their seeds.

    Args:
        spec: of a job, as in its record or as the JSON of that.
    """
    content = json.loads(spec) if isinstance(spec, str) else spec
    text = canonical_json([content["stage"], _without_seeds(content["params"])])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _without_seeds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_seeds(one) for name, one in value.items() if name != "seed"}
    return [_without_seeds(one) for one in value] if isinstance(value, list) else value


def write_asked(folder: Path, jobs: Kinds) -> None:
    """Note the jobs of a head, finished ones too, for `status` in another window."""
    write_text(folder / ASKED, json.dumps([[*key, of_kind] for key, of_kind in jobs.items()]))


def _asked() -> Kinds:
    """The jobs of the head at work.

    Raises:
        FileNotFoundError: they are not written down yet.
    """
    asked = json.loads((HEAD / ASKED).read_text(encoding="utf-8"))
    return {(stage, job): of_kind for stage, job, of_kind in asked}


def tell_status(targets: Sequence[str], study: Study | None) -> str:
    """The state in words, on one screen.

    Args:
        targets: tables and figures; none: what the run at work was asked for.
        study: of these targets.

    Raises:
        UserError: an unknown target, or no run is at work and no target was named.
    """
    if targets and study is not None:
        plan = Plan(study)
        asked = [plan.target(target_name(name)) for name in targets]
        status = _state(", ".join([*targets, *filter(None, [alive(HEAD)])]), _behind(asked))
        return "\n".join([as_text(status), *(_others(asked) if len(status.done) == len(status.jobs) else [])])
    head = alive(HEAD)
    if head is None:
        raise UserError("nothing runs on these results; name a target: robust3d status results/table4.csv")
    with suppress(FileNotFoundError):
        return as_text(_state(head, _asked()))
    return f"{head}\nwhat it makes is not written down yet"


def time_left(just_ended: int = 0) -> str | None:
    """How long the run at work still takes, as in `the rest takes about 12 min`; none where it is not known.

    Args:
        just_ended: jobs whose places are not taken again yet.
    """
    with suppress(FileNotFoundError):
        status = _state("", _asked())
        return _rest(status, [key for key in status.jobs if key not in status.done], just_ended)
    return None


def _others(asked: Sequence[Job]) -> list[str]:
    """Tables and figures whose jobs are done, and whose files are another job's all the same."""
    named = [(target_path(job.params["target"]), wrong(job)) for job in asked]
    return [f"{path} {why}; snakemake {path} puts it right" for path, why in named if why]


def _behind(asked: Sequence[Job]) -> Kinds:
    """The jobs that make some tables and figures, with these themselves."""
    found = dict[Key, str]()

    def visit(job: Job) -> None:
        if (job.stage, job.id) in found:
            return
        for files in (*job.inputs.values(), *job.bulk.values()):
            for maker, _ in files:
                visit(maker)
        found[job.stage, job.id] = kind(job.spec)

    for job in asked:
        visit(job)
    return found


def _state(title: str, jobs: Kinds) -> Status:
    running = []
    for stage, job in jobs:
        owner = alive(PROGRESS / job)
        if owner is not None:
            running.append(Running((stage, job), owner.partition(", since")[0], _since(owner)))
    at_work = {found.key for found in running}
    done = frozenset(key for key in jobs if key not in at_work and Path(output_path(key[0], "record", key[1])).exists())
    return Status(title, jobs, done, tuple(running), _usual() if len(done) < len(jobs) else {})


def _usual() -> dict[str, float]:
    times: dict[str, list[float]] = {}
    for step in Lineage().records() if RESULTS.is_dir() else ():
        with suppress(KeyError, TypeError, ValueError):
            seconds = float(step.record["seconds"])
            if not step.record.get("reused"):
                for name in (step.stage, f"{step.stage}/{step.label}", kind(step.record["spec"])):
                    times.setdefault(name, []).append(seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def _since(owner: str) -> float | None:
    text = owner.partition("since ")[2].partition(",")[0]
    try:
        return time.time() - datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def without_digest(job: str) -> str:
    """A job's label: the name of its folder without the digest at its end."""
    return job.rpartition("-")[0] or job


def as_text(status: Status) -> str:
    """Its summary, a line a stage, and the jobs at work."""
    at_work = {running.key for running in status.running}
    left = [key for key in status.jobs if key not in status.done]
    lines = [status.title, _summary(status, left)]
    rows = []
    for stage in dict.fromkeys(stage for stage, _ in status.jobs):
        keys = [key for key in status.jobs if key[0] == stage]
        waiting = [key for key in keys if key not in status.done and key not in at_work]
        counts = [len(keys) - len(waiting) - sum(key in at_work for key in keys), sum(key in at_work for key in keys)]
        rows.append((stage, *map(str, (*counts, len(waiting))), _work(status, waiting) if waiting else ""))
    head = ("stage", "done", "running", "waiting", "work left, one after another")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(4)]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3)), row[4]]
        lines.append("  ".join(cells).rstrip())
    lines += [_cut(_line(status, running)) for running in status.running[:_RUNNING]]
    more = len(status.running) - _RUNNING
    return "\n".join(lines + ([f"and {more} more are running"] if more > 0 else []))


def _summary(status: Status, left: Sequence[Key]) -> str:
    text = f"{len(status.done)} of {len(status.jobs)} jobs are done"
    if not left:
        return text
    if not status.running:
        return f"{text}; nothing runs; {_work(status, left)} of work is left"
    rest = _rest(status, left)
    return f"{text}; {rest or 'how long the rest takes is not known: no job like these has finished'}"


def _rest(status: Status, left: Sequence[Key], just_ended: int = 0) -> str | None:
    spent = {found.key: found.seconds or 0.0 for found in status.running}
    known = [max(seconds - spent.get(key, 0.0), 0.0) for key in left if (seconds := status.seconds(key)) is not None]
    if not known or (not status.running and not just_ended):
        return None
    unknown = len(left) - len(known)
    at_once = len(status.running) + just_ended
    text = f"at {at_once} at a time the rest takes about {duration(sum(known) / at_once)}"
    return text + (f", without {unknown} jobs of unknown length" if unknown else "")


def _work(status: Status, keys: Sequence[Key]) -> str:
    known = [seconds for key in keys if (seconds := status.seconds(key)) is not None]
    if not known:
        return "unknown"
    return duration(sum(known)) + (f" and {len(keys) - len(known)} of unknown length" if len(known) < len(keys) else "")


def _line(status: Status, running: Running) -> str:
    stage, job = running.key
    text = f"running: {stage.replace('_', ' ')} {without_digest(job)}, {running.owner}"
    if running.seconds is not None:
        text += f", for {duration(running.seconds)}"
    usual = status.seconds(running.key)
    return text + (f" (usually {duration(usual)})" if usual is not None else "")


def duration(seconds: float) -> str:
    """`41 s`, `12 min`, `3.5 h`."""
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
