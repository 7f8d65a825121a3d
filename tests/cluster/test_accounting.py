"""Runs on a SLURM whose accounting database goes away."""

import subprocess

import pytest
import slurm
from head import Head, describe_cluster
from project import Project

pytestmark = pytest.mark.slow

SHAPES = "[plan.index_views('categories'), *(job for (stage, _), job in plan.jobs.items() if stage == 'build_shapes')]"
SACCT = ("--slurm-status-command", "sacct")


def shapes(project: Project, index: int) -> str:
    return project.path(f"{SHAPES}[{index}].output('shapes')")


def test_a_run_outlives_a_pause_of_the_accounting(cluster_with_accounting, tmp_path):
    project = Project(tmp_path / "project", {"ae"})
    describe_cluster(project, account="lab")
    head = Head(project, *SACCT, "--", shapes(project, 1), shapes(project, 2))
    head.wait_for(lambda: head.told.count("has been submitted") == 2, 90)
    slurm.stop_daemon("slurmdbd")
    jobs = head.jobs()
    head.wait_for(lambda: not head.jobs("pending,running,completing"), 120)
    with pytest.raises(subprocess.TimeoutExpired):
        head.wait(20)  # the plugin's five attempts would have been over
    slurm.start_slurmdbd()
    assert head.wait(120) == 0, head.told[-4000:]
    accounts = ["sacct", "-X", "-n", "-P", "-o", "JobID,Account,State", "-j", ",".join(jobs)]
    assert subprocess.check_output(accounts, text=True).split() == [f"{job}|lab|COMPLETED" for job in sorted(jobs)]


def test_a_run_stops_with_a_message_when_the_accounting_stays_away(cluster_with_accounting, tmp_path):
    project = Project(tmp_path / "project", {"ae"})
    describe_cluster(project, patience_min=0.5)
    head = Head(project, *SACCT, "--", shapes(project, 1))
    head.wait_for(lambda: "has been submitted" in head.told, 60)
    slurm.stop_daemon("slurmdbd")
    try:
        assert head.wait(120) == 1
        assert "patience_min in cluster.yaml" in head.told
        assert (project.folder / shapes(project, 1)).exists()  # the job went on
    finally:
        slurm.start_slurmdbd()
