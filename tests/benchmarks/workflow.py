"""What the workflow itself costs: planning beside plain Snakemake, a job's start, the critical path, idle trainings."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from harness import Row, Section, Spread, spread

from robust3d.study.needs import made_from
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.stages import STAGES
from robust3d.study.targets import of_paper, papers, target_name, target_path
from robust3d.workflow.planned_jobs import PlannedJob

ROOT = Path(__file__).parents[2]


def measure(toy: bool, repeats: int) -> Section:
    """CPU time of dry runs, and of the same jobs in plain Snakemake; records where the default study has run."""
    section = Section("workflow", {})
    repeats = 1 if toy else min(repeats, 3)
    planned = [Planned("table 4", ["results/table4.csv"], 2.0)]
    if not toy:
        planned += [
            Planned("table 4 at the paper's scale", ["results/table4.csv"], 3.5, {"scale": "paper"}),
            Planned("five papers and their comparison at the papers' scale", EVERYTHING, 15.0, {"scale": "paper"}),
            Planned("tables 1 to 4 with 60 training seeds", TABLES, 3.5, {"training_seeds": list(range(60))}),
            Planned("tables 1 to 4 with 320 training seeds", TABLES, 10.0, {"training_seeds": list(range(320))}),
        ]
    planned.append(Planned("table 4, finished", ["results/table4.csv"], 2.0, finished=True))
    for asked in planned:
        _plan(asked, repeats, section)
    for what, module in (("the command line", "cli"), ("a training", "stages.train_classifier")):
        command = [sys.executable, "-c", f"import robust3d.{module}"]
        starts = spread([_cpu_s(command, ROOT)[0] for _ in range(repeats)])
        section.rows.append(_within(f"overhead of a job: interpreter and imports of {what}", "CPU s", starts, 2.5))
    section.facts.update(_records(ROOT / "results"))
    if stages := section.facts.get("stages"):
        print(chart(stages), file=sys.stderr)
    return section


TABLES = [f"results/table{number}.csv" for number in (1, 2, 3, 4)]
EVERYTHING = [target_path(name) for paper in papers() for name in of_paper(paper)]
PLAIN = """
import json

JOBS, OUTPUTS, TARGETS = json.loads(open("jobs.json").read())


def inputs(stage):
    return lambda wildcards: JOBS[stage][wildcards.job]


rule all:
    input:
        TARGETS,


for stage in OUTPUTS:

    rule:
        name:
            stage
        input:
            unpack(inputs(stage)),
        output:
            **OUTPUTS[stage],
        message:
            stage + ": {wildcards.job}"
        shell:
            "true"
"""


@dataclass(frozen=True)
class Planned:
    """A dry run: what is asked for, under which overlay, whether all of it is there, and how long it may take."""

    what: str
    targets: list[str]
    limit_s: float
    overlay: dict[str, Any] = field(default_factory=dict)
    finished: bool = False


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"}


def _cpu_s(command: list[str], folder: Path) -> tuple[float, str]:
    """CPU time of a process and all that it starts, and what it says."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {result.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result.stderr + result.stdout


def _within(what: str, unit: str, ours: Spread, limit: float, note: str = "") -> Row:
    """A row of which ours may be at most the limit; the ratio is the limit's to ours."""
    parts = spread([limit / max(value, 1e-9) for value in (ours.median, ours.low, ours.high)])
    return Row(what, unit, ours, Spread(limit, limit, limit, 1), parts, bar=1.0, peer="the limit", note=note)


def _plan(asked: Planned, repeats: int, section: Section) -> None:
    """Dry runs in an empty folder, or in one where all is there, and of the same jobs in plain Snakemake, in turn."""
    overlay = dict(asked.overlay)
    scale = {"scale": overlay.pop("scale")} if "scale" in overlay else {}
    plan = Plan(read_study([ROOT / "config.yaml"], {**scale, **overlay}))
    jobs = [PlannedJob.of(job) for job in made_from(plan.target(target_name(path)) for path in asked.targets)]
    with tempfile.TemporaryDirectory() as name:
        folder, plain = Path(name, "ours"), Path(name, "plain")
        folder.mkdir()
        plain.mkdir()
        for part in ("Snakefile", "workflow", "src", "config.yaml", "resources", "profiles", "envs", "pyproject.toml"):
            (folder / part).symlink_to(ROOT / part)
        (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
        for path in (path for job in jobs for path in job.outputs.values()) if asked.finished else ():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("{}")
            (plain / path).parent.mkdir(parents=True, exist_ok=True)
            (plain / path).write_text("{}")
        _write_plain(plain, plan, jobs, asked.targets)
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules"]
        ours = [*command, *(f"--config={key}={value}" for key, value in scale.items())]
        ours += ["--configfile", "overlay.yaml", "--", *asked.targets]
        runs = [(_cpu_s(ours, folder)[0], _cpu_s([*command, "--cores", "1"], plain)[0]) for _ in range(repeats)]
    note = f"{len(jobs):,} jobs"
    section.rows.append(_within(f"planning {asked.what}", "CPU s", spread([a for a, _ in runs]), asked.limit_s, note))
    section.facts[f"plain Snakemake, {asked.what}, CPU s"] = spread([b for _, b in runs]).median
    share = spread([1e3 * (a - b) / len(jobs) for a, b in runs])
    if len(jobs) > 1_000:  # below, what is read once is most of it
        section.rows.append(_within(f"our share of planning {asked.what}", "ms a job", share, 1.0, note))
    section.facts[f"our share, {asked.what}, ms a job"] = share.median


def _write_plain(folder: Path, plan: Plan, jobs: list[PlannedJob], targets: list[str]) -> None:
    """The same jobs and files in a workflow that computes nothing."""
    inputs: dict[str, dict[str, Any]] = {}
    for job in jobs:
        waits_for = {"bulk": job.waits_for} if job.waits_for else {}
        inputs.setdefault(job.stage, {})[job.id] = job.inputs | waits_for
    outputs = {
        stage: {
            name: path.format(results="results", stage=stage, job="{job}") for name, path in declared.outputs.items()
        }
        for stage, declared in STAGES.items()
        if stage in inputs
    }
    wanted = [plan.target(target_name(path)).output("record") for path in targets]
    (folder / "jobs.json").write_text(json.dumps([inputs, outputs, wanted]))
    (folder / "Snakefile").write_text(PLAIN)


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
