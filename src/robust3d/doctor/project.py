"""The project's own side: configuration, Python, packages, code, data sets."""

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from robust3d.doctor.datasets import data_sets
from robust3d.doctor.findings import Finding, not_checked, ok, one_line, problem
from robust3d.errors import UserError
from robust3d.study.cluster import Cluster, read_cluster
from robust3d.study.config import Study
from robust3d.study.places import configuration
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.stages import STAGES, locked_versions

ENVIRONMENT = "run `make environment`, or recreate the conda environment or container"


def read_configuration(
    overlays: Sequence[Path], chosen: Mapping[str, str] | None = None
) -> tuple[Study | None, list[Finding]]:
    """The study, or None and why not."""
    paths = [configuration(), *overlays]
    names = " + ".join([str(paths[0]), *(f"{key} {name}" for key, name in (chosen or {}).items()), *map(str, overlays)])
    try:
        study = read_study(paths, chosen)
    except UserError as error:
        mend = "correct the key, or run from the root of the project"
        return None, [problem("configuration", f"{names}: {one_line(str(error))}", mend)]
    return study, [ok("configuration", f"{names}: study {study.study!r}")]


def read_cluster_file(path: Path) -> tuple[Cluster, list[Finding]]:
    """The cluster's file, or a cluster's defaults and why."""
    try:
        cluster = read_cluster(path)
    except UserError as error:
        return Cluster(), [problem("cluster.yaml", one_line(str(error)), f"correct {path}")]
    if not path.exists():
        return cluster, []
    given = cluster.model_dump(exclude_unset=True)
    return cluster, [ok("cluster.yaml", ", ".join(f"{key} {value}" for key, value in given.items()) or "empty")]


def check_packages() -> Iterator[Finding]:
    """Python's version, and the packages that shape results against the lock."""
    found = sys.version_info[:2]
    if found == (3, 11):
        yield ok("python", sys.version.split()[0])
    else:
        text = f"{sys.executable} is {found[0]}.{found[1]}; Blender's module bpy exists for 3.11 only"
        yield problem("python", text, ENVIRONMENT)
    try:
        wanted = locked_versions(tuple(sorted({name for stage in STAGES.values() for name in stage.packages})))
    except UserError as error:
        yield problem("packages", str(error), "run from the root of the project")
        return
    wrong = []
    for name, version in wanted.items():
        installed = _installed(name)
        if installed.partition("+")[0] != version:
            wrong.append(f"{name} {version} is locked, installed is {installed}")
    if wrong:
        yield problem("packages", "; ".join(wrong), ENVIRONMENT)
    else:
        yield ok("packages", f"{len(wanted)} packages that shape results are those of envs/requirements.lock")


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name) or "half of it"
    except importlib.metadata.PackageNotFoundError:
        return "none"


def plan_study(study: Study) -> tuple[Plan | None, Finding]:
    """All jobs of the study; planning takes the digest of every stage's code."""
    plan = Plan(study)
    try:
        jobs = plan.every_job()
    except UserError as error:
        return None, problem("plan", one_line(str(error)), "correct the configuration")
    except (SyntaxError, OSError, ImportError) as error:
        return None, problem("plan", f"the code cannot be read: {one_line(str(error))}", "restore that file")
    return plan, ok("plan", f"{len(jobs)} jobs; the code of every stage has a digest")


def check_data_sets(study: Study) -> Iterator[Finding]:
    """Whether what the study reads from disk is there."""
    wanted = data_sets(study)
    for data in wanted:
        complaint = data.complaint()
        if complaint:
            yield problem(f"data set {data.name}", f"{data.key}: {complaint}", data.how_to_get())
        else:
            yield ok(f"data set {data.name}", f"{data.path} ({data.licence})")
    if not wanted:
        yield ok("data sets", "the study needs none from disk")


def no_study() -> Iterator[Finding]:
    """What cannot be looked at without a configuration."""
    for check in ("plan", "data sets", "results/"):
        yield not_checked(check, "the configuration cannot be read")
