"""Snakemake plans what is asked for: a lost file behind an unfinished job, one job on a node, names as they are."""

import json
import re
from pathlib import Path

import pytest
from project import Project

from robust3d.study.jobs import Job
from robust3d.study.like import merge
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study
from robust3d.workflow.planned_jobs import JOBS, PlannedJob, read_planned, write_planned
from robust3d.workflow.rules import made_paths


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp("planned") / "project")


def plan_of(project: Project) -> Plan:
    return Plan(load_study(project.values))


def pretend(project: Project, job: Job) -> None:
    """All outputs of a job, with nothing in them."""
    for path in PlannedJob.of(job).outputs.values():
        (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / path).write_text("{}")


def would_run(project: Project, *arguments: str) -> dict[str, int]:
    """Jobs of a dry run by rule."""
    told = project.make("-n", "--quiet", "rules", "--", *arguments)
    found = dict(re.findall(r"^(\w+) +(\d+)$", told, flags=re.MULTILINE))
    found.pop("total", None)
    return {rule: int(count) for rule, count in found.items()}


def test_a_lost_file_behind_a_manifest_is_made_again_only_for_a_job_that_runs(project):
    plan = plan_of(project)
    figure, index, shards = plan.target("figure2"), plan.index_views("gallery"), plan.shards("gallery")
    shapes = [maker for shard in shards for files in shard.inputs.values() for maker, _ in files]
    for job in (*shapes, *shards, index):
        pretend(project, job)
    publish = {"draw": 1, "publish_picture": 1}
    assert would_run(project, "results/figure2.png") == publish
    (project.folder / shards[3].output("views")).unlink()
    again = publish | {"render_shard": 1, "index_views": 1}
    assert would_run(project, "results/figure2.png") == again
    for path in PlannedJob.of(shards[3]).outputs.values():  # all of the job
        (project.folder / path).unlink(missing_ok=True)
    assert would_run(project, "results/figure2.png") == again
    for output in ("record", "views"):  # one more that is only half there, and no manifest
        (project.folder / shards[5].output(output)).unlink()
    (project.folder / index.output("manifest")).unlink()
    assert would_run(project, "results/figure2.png") == again | {"render_shard": 2}
    pretend(project, figure)  # nobody needs the shards any more
    assert would_run(project, "results/figure2.png") == {"publish_picture": 1}


def test_a_path_by_hand_is_planned_with_what_it_is_made_from(project):
    shard = plan_of(project).shards("categories")[0]
    assert would_run(project, shard.output("views")) == {"build_shapes": 1, "render_shard": 1}


@pytest.mark.parametrize("name", ["results/shapebias/table9.csv", "results/table1.csv.download"])
def test_a_name_that_holds_that_of_a_target_selects_nothing(project, name):
    told = project.snakemake("-n", "--quiet", "all", "--", name)
    assert told.returncode == 1 and f"{name}: no such target" in told.stderr


def test_missing_data_are_missed_whatever_else_the_command_line_says(tmp_path):
    """An argument with "download" in it once switched the check off."""
    project = Project(tmp_path / "download")
    project.change({"textures": {"source": "dtd", "path": "resources/download/dtd"}})
    told = project.snakemake("--cores", "1", "--config", "store=download", "--", "results/table3.csv")
    assert told.returncode == 1 and "resources/download/dtd" in told.stderr
    assert not list((project.folder / "results").glob("*_*"))


def child(project: Project, job: Job) -> list[str]:
    """What Snakemake starts on a cluster's node for one job."""
    target = f"{job.stage}:job={job.id}"
    modes = ["--mode", "remote", "--no-hooks", "--force", "--nolock", "--target-files-omit-workdir-adjustment"]
    return ["--cores", "1", *modes, "--allowed-rules", job.stage, "--target-jobs", target]


def test_a_process_on_a_node_takes_its_job_from_the_one_that_planned_it(project):
    """Of a study that the process could not plan: here it is not the configured one."""
    other = Plan(load_study(merge(project.values, {"study": "another", "seed": 77})))
    job = other.build_shapes("geons", "cone")
    told = project.snakemake(*child(project, job))
    assert told.returncode != 0 and "has changed since this job was planned" in told.stderr
    write_planned([PlannedJob.of(other.build_shapes("geons", "arch")), PlannedJob.of(job)], project.folder / JOBS)
    told = project.snakemake(*child(project, job))
    assert told.returncode == 0, told.stderr[-3000:]
    record = json.loads((project.folder / job.output("record")).read_text())
    assert record["spec"]["params"]["seed"] == 77
    # Where nothing is handed on it plans for itself.
    (project.folder / JOBS).unlink()
    ours = plan_of(project).build_shapes("geons", "cone")
    told = project.snakemake(*child(project, ours))
    assert told.returncode == 0, told.stderr[-3000:]
    assert (project.folder / ours.output("record")).exists()


def test_planned_jobs_are_read_back_whole(tmp_path, project):
    plan = plan_of(project)
    plan.target("table4"), plan.target("figure2")
    jobs = [PlannedJob.of(job) for job in plan.jobs.values()]
    path = tmp_path / "jobs"
    assert read_planned("tabulate", jobs[0].id, path) is None
    write_planned(jobs, path)
    assert len(jobs) > 40 and all(read_planned(job.stage, job.id, path) == job for job in jobs)
    assert read_planned("tabulate", "table4", path) is None  # a name is a whole one
    path.write_text("")
    assert read_planned(jobs[0].stage, jobs[0].id, path) is None
    path.write_text(f"\n{jobs[0].stage}/{jobs[0].id}\t{{broken")
    assert read_planned(jobs[0].stage, jobs[0].id, path) is None


def test_only_what_a_path_needs_is_planned(project):
    plan = plan_of(project)
    job = plan_of(project).shards("geons")[-1]
    assert plan.find("render_shard", job.id).id == job.id
    assert {found.stage for found in plan.jobs.values()} <= {"build_shapes", "render_shard", "index_views"}
    assert plan.find("render_shard", "nothing-000000000000") is None
    assert {job.stage for job in plan.jobs.values()} >= {"tabulate", "draw", "plot"}  # all was looked through


def test_every_planned_path_is_known_to_be_made(project):
    plan = plan_of(project)
    made = re.compile(made_paths())
    paths = [path for job in plan.every_job() for path in PlannedJob.of(job).outputs.values()]
    assert all(map(made.fullmatch, [*paths, "results/table4.csv", "results/figure6.svg", "results/table4.cells.json"]))
    others = ["results/table44.csv", "results/pretrain/x/model.pt", "results/pretrain/x/y/record.json", "table4.csv"]
    assert not any(map(made.fullmatch, [*others, *(f"{Path(path).parent}/x" for path in paths)]))
