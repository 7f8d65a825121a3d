"""Jobs that one process plans and another one runs: on a cluster's node nothing is planned again.

The process that submits writes what each job is told into one file, a line a job, in Snakemake's own folder. A job's
process looks its line up there; where it finds none, it plans for itself, which only takes longer.
"""

import json
import mmap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robust3d.files import write_text
from robust3d.study.jobs import Job
from robust3d.study.targets import output_paths

JOBS = Path(".snakemake/robust3d-jobs")


@dataclass(frozen=True)
class Told:
    """A planned job as Snakemake is told of it.

    Attributes:
        stage: its rule.
        id: its folder's name.
        spec: all that it is told, as canonical JSON.
        inputs: named files that it reads.
        waits_for: files besides, that Snakemake has to see there before it starts the job.
        devices: how many GPUs share its batches.
        variant: the module that its stage runs, where a stage declares variants; else None.
    """

    stage: str
    id: str
    spec: str
    inputs: dict[str, list[str]]
    waits_for: list[str]
    devices: int
    variant: str | None

    @classmethod
    def of(cls, job: Job) -> "Told":
        """What Snakemake is told of a job.

        Big files are named by a manifest: the job that writes the manifest waits for them, so those that read it need
        not name each of them again (`robust3d.workflow.rules.Rules` looks whether one is lost).
        """
        makers = {maker for files in job.inputs.values() for maker, _ in files}
        bulk = [(maker, output) for files in job.bulk.values() for maker, output in files]
        waits_for = [maker.output(output) for maker, output in bulk if maker in makers]
        inputs = {name: paths for name, paths in job.input_paths().items() if paths}
        return cls(job.stage, job.id, job.spec, inputs, waits_for, job.devices, job.params.get(job.stage))

    @property
    def outputs(self) -> dict[str, str]:
        """Where each named output lies, the record last."""
        return output_paths(self.stage, self.id)

    @property
    def arguments(self) -> str:
        """The command line of `robust3d run` that a file holds: the spec and all named files, one word a line."""
        words = ["--spec", self.spec]
        for name, paths in self.inputs.items():
            words += ["--input", name, *paths]
        for name, path in self.outputs.items():
            words += ["--output", name, path]
        return "\n".join(words)


def hand_on(jobs: Iterable[Told], path: Path = JOBS) -> None:
    """Let the processes of these jobs find what they are told; earlier jobs of the file are forgotten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(f"\n{_key(job.stage, job.id)}{json.dumps(asdict(job))}" for job in jobs) + "\n")


def handed_on(stage: str, job: str, path: Path = JOBS) -> Told | None:
    """What a job is told, by the process that planned it; None if that is not known."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            start = text.find(f"\n{_key(stage, job)}".encode())
            if start < 0:
                return None
            line = text[start + 1 : text.find(b"\n", start + 1)]
        values: dict[str, Any] = json.loads(line.partition(b"\t")[2])
        return Told(**values)
    except (OSError, ValueError, TypeError):  # no such file, an empty one, one of another version
        return None


def _key(stage: str, job: str) -> str:
    return f"{stage}/{job}\t"
