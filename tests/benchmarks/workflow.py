"""The workflow's own cost: planning, overhead of a job, the default study's critical path, idle share of training."""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from harness import Row, Section, spread, timed

ROOT = Path(__file__).parents[2]


def measure(toy: bool, repeats: int) -> Section:
    """Dry runs of studies scaled by their number of training seeds; records where the default study has run."""
    section = Section("workflow", {})
    repeats = 1 if toy else min(repeats, 3)
    for wanted in (None,) if toy else (1000, 3500):
        jobs, seconds = _plan(wanted, repeats)
        section.rows.append(Row(f"planning {jobs:,} jobs", "s", spread(seconds)))
        section.facts[f"ms a job at {jobs:,} jobs"] = 1e3 * spread(seconds).median / max(jobs, 1)
    for what, module in (("the command line", "cli"), ("a training", "training.classification")):
        command = [sys.executable, "-c", f"import robust3d.{module}"]
        runs = [
            timed(lambda command=command: subprocess.run(command, check=True, env=_environment()))
            for _ in range(repeats)
        ]
        starts = spread([run.wall_s for run in runs])
        section.rows.append(Row(f"overhead of a job: interpreter and imports of {what}", "s", starts))
    section.facts.update(_records(ROOT / "results"))
    if stages := section.facts.get("stages"):
        print(chart(stages), file=sys.stderr)
    return section


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "src")}


def _plan(wanted: int | None, repeats: int) -> tuple[int, list[float]]:
    """Jobs and seconds of `snakemake --dry-run` on a study of about `wanted` jobs (None: the default study)."""
    jobs = _dry_run(1)[0]
    if wanted is None:
        return _count_and_time([_dry_run(1)])
    more = _dry_run(3)[0]
    per_seed = max(1.0, (more - jobs) / 2)
    seeds = max(1, round(1 + (wanted - jobs) / per_seed))
    return _count_and_time([_dry_run(seeds) for _ in range(repeats)])


def _count_and_time(runs: list[tuple[int, float]]) -> tuple[int, list[float]]:
    return runs[0][0], [seconds for _, seconds in runs]


def _dry_run(seeds: int) -> tuple[int, float]:
    """Number of jobs and seconds of a dry run in an empty working folder, so that nothing exists yet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("Snakefile", "workflow", "src", "config.yaml", "resources", "profiles", "envs", "pyproject.toml"):
            (folder / part).symlink_to(ROOT / part)
        overlay = folder / "seeds.yaml"
        overlay.write_text(yaml.safe_dump({"training_seeds": list(range(seeds))}))
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--configfile", str(overlay)]
        run = timed(lambda: subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True))
    if run.result.returncode:
        raise RuntimeError(f"dry run failed: {run.result.stderr[-2000:]}")
    counts = [line.split() for line in (run.result.stdout + run.result.stderr).splitlines()]
    total = next((int(words[1]) for words in counts if words[:1] == ["total"] and len(words) > 1), 0)
    return total, run.wall_s


def _records(results: Path) -> dict[str, Any]:
    """Where the time of a study that has run here went; no more than the number of its records without any."""
    found = [(path.parents[1].name, json.loads(path.read_text())) for path in sorted(results.glob("*/*/record*.json"))]
    found = [(stage, record) for stage, record in found if not record.get("reused")]
    if not found:
        return {"records": 0}
    records = [record for _, record in found]
    makers = {digest: number for number, record in enumerate(records) for digest in _digests(record["outputs"])}

    @cache
    def path(number: int) -> float:
        """Seconds of the longest chain of jobs that ends with this one."""
        before = {makers[digest] for digest in _digests(records[number]["inputs"]) if digest in makers} - {number}
        return records[number]["seconds"] + max(map(path, before), default=0.0)

    stages: dict[str, list[float]] = {}
    for stage, record in found:
        total = stages.setdefault(stage, [0, 0.0, 0.0])
        for place, value in enumerate((1, record["seconds"], record["cpu_seconds"])):
            total[place] += value
    names = "jobs", "seconds", "cpu_seconds"
    return {
        "records": len(found),
        "critical_path_s": max(path(number) for number in range(len(records))),
        "stages": {
            stage: dict(zip(names, total, strict=True))
            for stage, total in sorted(stages.items(), key=lambda item: -item[1][2])
        },
        "idle_share_of_training": _idle(found),
    }


def _digests(value: Any) -> set[str]:
    """Every sha256 inside the description of inputs or outputs."""
    if isinstance(value, dict):
        own = {value["sha256"]} if isinstance(value.get("sha256"), str) else set()
        return own.union(*map(_digests, value.values()))
    return set().union(*map(_digests, value)) if isinstance(value, list) else set()


def _idle(found: list[tuple[str, dict[str, Any]]]) -> dict[str, float]:
    """Share of the wall time in which a training's threads computed nothing; a GPU's own share is not recorded."""
    return {
        record["job"]: 1 - record["cpu_seconds"] / (record["seconds"] * record["host"]["threads"])
        for stage, record in found
        if stage in ("pretrain", "train_classifier") and record["seconds"]
    }


def chart(stages: dict[str, dict[str, float]], width: int = 40) -> str:
    """Bars of CPU time by stage, for the README."""
    largest = max(stage["cpu_seconds"] for stage in stages.values())
    lines = []
    for name, stage in stages.items():
        bar = "█" * round(width * stage["cpu_seconds"] / largest)
        lines.append(f"{name:20} {stage['jobs']:4.0f} jobs {stage['cpu_seconds']:7.0f} s  {bar}".rstrip())
    return "\n".join(lines)
