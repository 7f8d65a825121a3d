"""Runs recorded jobs again, in a folder of their own, and compares what comes out with what is recorded.

A hash says that a file is the one that was made; only a repetition says that the job makes it.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from robust3d.errors import UserError
from robust3d.files import sha256
from robust3d.provenance.lineage import Lineage, Step
from robust3d.provenance.machine import processor
from robust3d.scratch import scratch, variables
from robust3d.study.accepted import accepted_digest
from robust3d.study.closure import closure_digest
from robust3d.study.jobs import canonical_json
from robust3d.study.stages import STAGES

Verdict = Literal["same bytes", "within tolerance", "different", "failed"]


@dataclass(frozen=True)
class Repeated:
    """One output of a job that was run again.

    Attributes:
        job: stage and folder name.
        output: its name.
        verdict: same bytes; within tolerance, on another processor; different; or the job failed.
        detail: what differs.
    """

    job: str
    output: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True)
class Repetition:
    """What came of all; `left_out` says why jobs could not be run again."""

    outputs: tuple[Repeated, ...]
    left_out: dict[str, str]

    @property
    def is_good(self) -> bool:
        """Whether something was repeated, and everything as it should be."""
        return bool(self.outputs) and all(o.verdict in ("same bytes", "within tolerance") for o in self.outputs)


def recompute(count: int, targets: Sequence[str], stages: Sequence[str]) -> Repetition:
    """Run recorded jobs again, those that took least CPU time first.

    Args:
        count: how many.
        targets: tables, figures or other results whose making is repeated; all that is recorded if none is named.
        stages: only jobs of these stages; of all if none is named.

    Raises:
        UserError: no results, an unknown stage, or a count below 1.
    """
    if count < 1:
        raise UserError(f"--recompute {count}: name at least one job")
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown:
        raise UserError(f"--stage {unknown[0]}: no such stage; there are {', '.join(STAGES)}")
    lineage = Lineage()
    steps = lineage.ancestors(*(lineage.target(name) for name in targets)) if targets else _made(lineage)
    wanted = [step for step in steps if step.stage in STAGES and (not stages or step.stage in stages)]
    wanted.sort(key=lambda step: (step.record.get("cpu_seconds", step.record["seconds"]), step.name))
    outputs: list[Repeated] = []
    left_out: dict[str, str] = {}
    done = 0
    for step in wanted:
        if done == count:
            break
        obstacle = _obstacle(lineage, step)
        if obstacle:
            left_out[step.name] = obstacle
            continue
        outputs += _repeat(lineage, step)
        done += 1
    return Repetition(tuple(outputs), left_out)


def _made(lineage: Lineage) -> list[Step]:
    """All that jobs have made; what stands under a stable name is a copy of it."""
    return [step for step in lineage.records() if "published" not in step.record]


def _obstacle(lineage: Lineage, step: Step) -> str | None:
    """Why a job cannot be run again as it was."""
    roots = tuple(step.record["spec"]["modules"])
    try:
        if accepted_digest(roots, closure_digest(roots)) != step.record["spec"]["code"]:
            return "its code has changed since"
        for files in step.inputs.values():
            for file in files:
                if sha256(lineage.locate(file.path)) != file.sha256:
                    return f"{file.path} is not what it read"
    except (OSError, SyntaxError, ValueError) as error:
        return f"cannot be run: {error}"
    return None


def _repeat(lineage: Lineage, step: Step) -> list[Repeated]:
    """Run one job in a folder that is removed afterwards, and compare each output."""
    name = f"{step.stage} {step.job}"
    print(f"again: {name}, took {step.record['seconds']:.0f} s", file=sys.stderr, flush=True)
    with scratch() as folder:
        places = {key: folder / Path(file.path).name for key, file in step.outputs.items()}
        command = [sys.executable, "-m", "robust3d.cli", "run", "--job", step.job, "--apart", str(folder)]
        command += ["--spec", canonical_json(step.record["spec"]), "--threads", str(step.record["host"]["threads"])]
        for key, files in step.inputs.items():
            command += ["--input", key, *(str(lineage.locate(file.path)) for file in files)] if files else []
        for key, place in (places | {"record": folder / "record.json"}).items():
            command += ["--output", key, str(place)]
        result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables(folder)})
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or [f"exit {result.returncode}"]
            return [Repeated(name, "all", "failed", lines[-1])]
        return [_compare(lineage, step, name, key, place) for key, place in places.items()]


def _compare(lineage: Lineage, step: Step, name: str, output: str, place: Path) -> Repeated:
    from robust3d.provenance.likeness import apart

    file = step.outputs[output]
    if sha256(place) == file.sha256:
        return Repeated(name, output, "same bytes")
    kept = lineage.locate(file.path)
    if not kept.exists() or sha256(kept) != file.sha256:
        return Repeated(name, output, "different", "other bytes; the recorded file is missing or changed")
    detail = apart(kept, place)
    elsewhere = _elsewhere(step.record["host"])
    if detail is None and elsewhere:
        return Repeated(name, output, "within tolerance", elsewhere)
    return Repeated(name, output, "different", "; ".join(filter(None, [detail or "other bytes", elsewhere])))


def _elsewhere(host: dict[str, Any]) -> str:
    """How the recorded machine differs from this one, where that can change rounding."""
    then, now = host.get("processor"), processor()
    if host["gpu"]:
        return f"made on {host['gpu']}"
    return f"made on {then}, here is {now}" if then != now else ""


def tell(repetition: Repetition) -> str:
    """A line for each output that is not the same, and the sum."""
    from robust3d.provenance.likeness import TOLERANCE_TEXT

    lines = []
    for job in dict.fromkeys(output.job for output in repetition.outputs):
        mine = [output for output in repetition.outputs if output.job == job]
        if all(output.verdict == "same bytes" for output in mine):
            lines.append(f"same bytes        {job}: {', '.join(output.output for output in mine)}")
            continue
        lines += [
            f"{output.verdict:<16}  {job}: {output.output}{f': {output.detail}' if output.detail else ''}"
            for output in mine
        ]
    reasons = Counter(repetition.left_out.values())
    lines += [f"left out          {count} job(s): {reason}" for reason, count in reasons.most_common(5)]
    verdicts = Counter(output.verdict for output in repetition.outputs)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "nothing could be run again"
    if verdicts["within tolerance"] or verdicts["different"]:
        summary += f" (tolerance: {TOLERANCE_TEXT})"
    return "\n".join([*lines, summary])
