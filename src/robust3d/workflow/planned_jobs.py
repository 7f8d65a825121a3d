"""Planned jobs in a file: on a cluster, the node that runs a job does not plan the study again.

The process that submits writes each planned job as one line of a file in Snakemake's own folder. The process that runs
a job looks up its line; where there is none, it plans the job itself, which only takes longer.
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
class PlannedJob:
    """A planned job: what its Snakemake rule needs to know.

    Attributes:
        stage: its stage, the name of its rule.
        id: the name of its folder.
        spec: parameters, code digest and package versions, as canonical JSON.
        inputs: input files by name.
        waits_for: further files that must exist before Snakemake starts the job.
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
    def of(cls, job: Job) -> "PlannedJob":
        """The planned form of a job.

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
        """Path of each named output, the record last."""
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


def write_planned(jobs: Iterable[PlannedJob], path: Path = JOBS) -> None:
    """Write these jobs into the file, in place of its former content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(f"\n{_key(job.stage, job.id)}{json.dumps(asdict(job))}" for job in jobs) + "\n")


def read_planned(stage: str, job: str, path: Path = JOBS) -> PlannedJob | None:
    """One job of the file; None if it is not there or the file cannot be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            start = text.find(f"\n{_key(stage, job)}".encode())
            if start < 0:
                return None
            line = text[start + 1 : text.find(b"\n", start + 1)]
        values: dict[str, Any] = json.loads(line.partition(b"\t")[2])
        return PlannedJob(**values)
    except (OSError, ValueError, TypeError):  # no such file, an empty one, one of another version
        return None


def _key(stage: str, job: str) -> str:
    return f"{stage}/{job}\t"
