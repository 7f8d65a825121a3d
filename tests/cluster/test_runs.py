"""Whole runs on a real SLURM without accounting: tables, time limits, failures, interruptions."""

import itertools
import re
import subprocess

import pytest
from head import Head, describe_cluster, logs, reuse
from project import Project

from robust3d.files import sha256

pytestmark = pytest.mark.slow

TABLE = "results/table4.csv"
FILES = ("table4.csv", "table4.cells.json")
VIEWS = ("build_shapes", "render_shard", "index_views")  # what a pre-training needs
MODEL = "[plan.target('table4'), *(job for (stage, _), job in plan.jobs.items() if stage == 'pretrain')][1]"
STEPS = 240


@pytest.fixture(scope="module")
def table_run(cluster, finished, tmp_path_factory):
    """Table 4 being made by SLURM, in the background of the other tests."""
    project = Project(tmp_path_factory.mktemp("slurm") / "project")
    describe_cluster(project)
    head = Head(project, TABLE)
    head.lasting = True
    yield project, head
    if head.process.poll() is None:
        head.kill()


def pretraining(finished, folder) -> Project:
    """A project whose views are there, so that nothing is left to make but one pre-training of some length."""
    project = Project(folder, {"ae"})
    params = {"batch": 4, "loop": {"steps": STEPS, "validate_every": STEPS // 2}}
    project.change({"pretraining": {"ae": {"params": params}}})
    reuse(finished, project, *VIEWS)
    describe_cluster(project)
    return project


def edit(path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_training_outlives_time_limits_interruptions_and_its_head(table_run, finished, tmp_path):
    """A training of more than a minute under a limit of one, with Ctrl-C and a killed head in between."""
    undisturbed = pretraining(finished, tmp_path / "undisturbed")
    model = undisturbed.path(f"{MODEL}.output('model')")
    folder = undisturbed.folder
    local = subprocess.Popen(["snakemake", "--quiet", "all", "--", model], cwd=folder, env=undisturbed.environment)

    project = pretraining(finished, tmp_path / "slow")
    edit(
        project.take_source() / "training/loop.py",
        "        for group in self.optimiser.param_groups:\n",
        "        import os\n\n        time.sleep(0.4)\n        with open('steps', 'a') as file:\n"
        "            print(step, os.environ['SLURM_JOB_ID'], file=file)\n"
        "        for group in self.optimiser.param_groups:\n",
    )
    target = project.path(f"{MODEL}.output('model')")
    steps = project.folder / "steps"
    limit = ("--set-resources", "pretrain:runtime=1", "pretrain:slurm_extra='--no-kill'", "--retries", "8", "--")
    limited = (*limit, target)

    def done() -> int:
        return len(steps.read_text().splitlines()) if steps.exists() else 0

    head = Head(project, *limited)
    head.wait_for(lambda: done() >= 20, 400)
    head.interrupt()
    head.wait_for_an_empty_queue()
    assert head.wait(300) != 0 and not (project.folder / target).exists()

    at_least, head = done() + 20, Head(project, *limited)
    head.wait_for(lambda: done() >= at_least, 400)
    head.kill()
    assert head.jobs("running")
    head = Head(project, *limited)
    assert head.wait(900) == 0, head.told[-4000:]

    assert "Trying to restart" in head.told
    assert local.wait(300) == 0
    assert sha256(project.folder / target) == sha256(folder / model)
    lines = [line.split() for line in steps.read_text().splitlines()]
    # A limit between a training's end and that of its job has Snakemake remove what is made and begin again: some
    # seconds of the minute here. So what counts is how many steps the first whole training took.
    assert STEPS <= 1 + [int(step) for step, _ in lines].index(STEPS - 1) <= 1.05 * STEPS
    writers = [job for job, _ in itertools.groupby(lines, key=lambda line: line[1])]
    assert len(writers) == len(set(writers)) >= 4  # each had the training for itself, and nobody had it twice
    texts = [log.read_text() for log in logs(project, "pretrain")]
    assert sum("stopped by a signal" in text for text in texts) >= 3
    assert sum("going on from step" in text for text in texts) >= 3


def test_a_job_that_always_fails_starts_once_an_attempt_and_leaves_every_log(table_run, finished, tmp_path):
    """With two GPUs asked for: the stage runs once in each attempt, and sees two."""
    project = pretraining(finished, tmp_path / "failing")
    describe_cluster(project)
    project.change({"pretraining": {"ae": {"params": {"loop": {"devices": 2}}}}})
    edit(
        project.take_source() / "stages/pretrain.py",
        "    job_params = job.params\n    params",
        "    import os\n    job_params = job.params\n    with open('starts', 'a') as file:\n"
        "        print(os.environ['SLURM_JOB_ID'], os.environ['CUDA_VISIBLE_DEVICES'], file=file)\n"
        "    raise ValueError('on purpose')\n    params",
    )
    head = Head(project, "--retries", "2", project.path(f"{MODEL}.output('model')"))
    assert head.wait(900) == 1
    starts = [line.split() for line in (project.folder / "starts").read_text().splitlines()]
    assert len(starts) == len(head.jobs()) == 3
    assert all(len(set(devices.split(","))) == 2 for _, devices in starts)
    attempts = logs(project, "pretrain")
    assert [log.stem for log in attempts] == [job for job, _ in starts]
    assert all("ValueError: on purpose" in log.read_text() for log in attempts)
    asked = [subprocess.check_output(["scontrol", "show", "job", job], text=True) for job, _ in starts]
    assert all(" TimeLimit=00:30:00 " in text for text in asked)  # clipped to the cluster's limit
    memory = [re.search(r"MinMemoryNode=([0-9.]+)([MG])", text).groups() for text in asked]
    assert [float(number) * {"M": 1, "G": 1024}[unit] for number, unit in memory] == [128_000, 192_000, 256_000]
    assert all("gpu:toy:2" in text and "Partition=gpu" in text for text in asked)


def test_interrupted_while_jobs_are_being_submitted_it_leaves_none(table_run, tmp_path):
    """The plugin goes on to submit what it has begun with, some seconds a job."""
    project = Project(tmp_path / "interrupted")
    describe_cluster(project)
    head = Head(project, "--until", "build_shapes", "--", TABLE, "results/table3.csv")
    head.wait_for(lambda: "has been submitted" in head.told, 300)
    head.interrupt()
    assert head.wait(300) != 0
    assert len(head.jobs()) > 2
    head.wait_for_an_empty_queue()


def test_a_checkout_that_is_edited_while_a_job_waits_is_not_run(table_run, finished, tmp_path):
    project = pretraining(finished, tmp_path / "edited")
    source = project.take_source()
    hold = ("--set-resources", "pretrain:slurm_extra='--begin=now+25'", "--retries", "1", "--")
    head = Head(project, *hold, project.path(f"{MODEL}.output('model')"))
    head.wait_for(lambda: "has been submitted" in head.told, 300)
    edit(source / "training/loop.py", "CHECK_EVERY = 16", "CHECK_EVERY = 17")
    assert head.wait(900) == 1
    assert len(head.jobs()) == 2
    for log in logs(project, "pretrain"):
        assert "has changed since this job was planned" in log.read_text() and str(log) in head.told


def test_table_4_by_slurm_equals_the_local_one(table_run, finished):
    project, head = table_run
    assert head.wait(1200) == 0, head.told[-4000:]
    assert not head.jobs("pending,running,completing,suspended")
    planned = dict(re.findall(r"^(\w+) +(\d+)$", head.told, flags=re.MULTILINE))
    assert len(head.jobs()) == int(planned["total"]) - int(planned["tabulate"]) - int(planned["publish_table"]) > 20
    assert project.bytes_of(*FILES) == finished.bytes_of(*FILES)
    used = {record["slurm"]["SLURM_JOB_ID"] for record in project.records("probe").values()}
    assert used < set(head.jobs())
    assert {record["host"]["threads"] for record in project.records("render_shard").values()} == {2}
    assert "Nothing to be done" in project.make(TABLE)  # by the local profile: nothing of a cluster is in a name
