"""The learning stages at the tests' scale, each run on the CPU and on the GPU from the same inputs and random numbers.

The jobs are those of a finished project at the tests' scale: `pack` takes their records along and the data that they
start from, a few MB; what they make themselves is made again, on the CPU, for the jobs that follow. The two runs of a
job read the same files, so differences do not add up from stage to stage, and both draw their random numbers on the
CPU: what is left between them is rounding.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch

# What tells jobs of a stage apart that run other code, wherever in the parameters it stands.
CHOICES = ("method", "objective", "norm", "probe", "training", "architecture")

ATTACK_STEPS = 2


@dataclass(frozen=True)
class Job:
    """A job of a learning stage; paths are relative to the project's root."""

    name: str
    stage: str
    params: dict[str, Any]
    inputs: dict[str, list[Path]]
    outputs: dict[str, Path]
    record: Path

    @property
    def choices(self) -> tuple[str, ...]:
        """The code that runs on a GPU: stage, entries of registries, and inputs that may be absent."""
        return self.stage, *sorted(set(_chosen(self.params))), *sorted(self.inputs.keys() - {"textures"})

    @property
    def read(self) -> list[Path]:
        """All inputs."""
        return [path for paths in self.inputs.values() for path in paths]

    @property
    def under_attack(self) -> bool:
        """Whether a model is trained on adversarial images."""
        return self.stage.startswith("train") and any(choice.endswith(" pgd") for choice in self.choices)


def _chosen(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            name = item.get("name") if isinstance(item, dict) else item
            if key in CHOICES and isinstance(name, str):
                yield f"{key} {name}"
            yield from _chosen(item)


def learning_jobs(root: Path) -> list[Job]:
    """One job of each kind that uses torch, and those that make its inputs, each after those.

    Args:
        root: of a project that has run, or of what `pack` has made of it.
    """
    jobs = [
        _job(path, json.loads(path.read_text()), root) for path in sorted((root / "results").glob("*/*/record.json"))
    ]
    learning = [job for job in jobs if job is not None]
    maker = {path: job for job in learning for path in job.outputs.values()}
    chosen: dict[str, Job] = {}

    def take(job: Job) -> None:
        for path in job.read:
            if path in maker:
                take(maker[path])
        chosen.setdefault(f"{job.stage}/{job.name}", job)

    for job in {job.choices: job for job in reversed(learning)}.values():
        take(job)
    return list(chosen.values())


def _job(path: Path, record: dict[str, Any], root: Path) -> Job | None:
    spec = record["spec"]
    if "torch" not in spec["packages"]:
        return None
    inputs = {name: [Path(file["path"]) for file in files] for name, files in record["inputs"].items() if files}
    outputs = {name: Path(file["path"]) for name, file in record["outputs"].items()}
    return Job(record["job"], spec["stage"], spec["params"], inputs, outputs, path.relative_to(root))


def gentle(value: Any) -> Any:
    """Parameters with a hundredth of every learning rate, and two steps of every training attack.

    As they are, a few optimiser steps, and an attack that takes the signs of gradients, blow rounding up to hundredths
    of the loss, where faults would hide.
    """
    if not isinstance(value, dict):
        return value
    changed = {key: item / 100 if key == "learning_rate" else gentle(item) for key, item in value.items()}
    return changed | {"steps": ATTACK_STEPS} if "step_size" in changed else changed


def pack(root: Path, place: Path) -> None:
    """Copy the records of `learning_jobs`, and their inputs that none of them makes, from a project to `place`."""
    jobs = learning_jobs(root)
    made = {path for job in jobs for path in job.outputs.values()}
    files = dict.fromkeys(path for job in jobs for path in job.read if path not in made)
    for manifest in [path for path in files if path.suffix == ".json"]:
        shards = json.loads((root / manifest).read_text()).get("shards", [])
        files |= dict.fromkeys(Path(shard["path"]) for shard in shards)
    for path in [*files, *(job.record for job in jobs)]:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, place / path)


@dataclass
class Context:
    """What a stage gets from the runner, which needs packages that a bare machine lacks."""

    params: dict[str, Any]
    inputs: dict[str, list[Path]]
    outputs: dict[str, Path]
    progress: Path
    threads: int = 1
    alike: Callable[[], Iterator[Any]] = lambda: iter(())
    notes: dict[str, Any] = field(default_factory=dict)

    def input(self, name: str) -> Path:
        (path,) = self.inputs[name]
        return path

    def optional(self, name: str) -> Path | None:
        return next(iter(self.inputs.get(name, [])), None)

    def write_json(self, name: str, value: Any) -> None:
        self.outputs[name].write_text(json.dumps(value, indent=1, sort_keys=True))


def run(job: Job, root: Path, folder: Path | None = None, on_gpu: bool = False) -> dict[str, Path]:
    """Run a job; its outputs, by name.

    Args:
        job: of `learning_jobs(root)`.
        root: where its inputs lie.
        folder: where its outputs go; None: to their places under `root`, where later jobs find them.
        on_gpu: on the device that the stage chooses by itself; else it is shown no GPU.
    """
    from robust3d import registry

    outputs = {name: (root / path if folder is None else folder / path.name) for name, path in job.outputs.items()}
    for path in outputs.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    with ExitStack() as stack:
        stack.callback(os.chdir, before)
        os.chdir(root)  # manifests name shards from there
        stack.enter_context(cpu_draws())
        if not on_gpu:
            stack.enter_context(mock.patch("torch.cuda.is_available", return_value=False))
        progress = stack.enter_context(tempfile.TemporaryDirectory())
        tf32 = torch.backends.cudnn.allow_tf32
        stack.callback(setattr, torch.backends.cudnn, "allow_tf32", tf32)
        torch.backends.cudnn.allow_tf32 = True  # as in a fresh process: who needs fp32 has to say so
        registry.load("stage", job.stage).run(Context(gentle(job.params), job.inputs, outputs, Path(progress)))
    return outputs


@contextmanager
def cpu_draws() -> Iterator[None]:
    """Inside, generators are the CPU's: a GPU's give other numbers from the same seed."""
    from robust3d import seeds

    original = seeds.torch_generator

    def on_cpu(*parts: str | int, device: Any = "cpu") -> torch.Generator:
        return original(*parts)

    def replace(old: Any, new: Any) -> None:
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "robust3d" and getattr(module, "torch_generator", None) is old:
                module.torch_generator = new  # type: ignore[attr-defined]

    replace(original, on_cpu)
    try:
        yield
    finally:
        replace(on_cpu, original)
