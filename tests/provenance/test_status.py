"""What `robust3d status` says of a run, against jobs that are made by hand."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robust3d.errors import UserError
from robust3d.provenance import owner, status
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study

ROOT = Path(__file__).parents[2]
KEYS = [("render_shard", f"a-{n}-{n:012d}") for n in range(3)] + [("probe", "a-s0-000000000003")]
JOBS = dict.fromkeys(KEYS, "some kind")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def finish(stage, job, seconds, **params):
    path = status.Path(status.output_path(stage, "record", job))
    path.parent.mkdir(parents=True)
    record = {"spec": {"stage": stage, "params": params}, "job": job, "inputs": {}, "outputs": {}, "seconds": seconds}
    path.write_text(json.dumps(record))


def test_it_counts_what_is_done_runs_and_waits():
    finish(*KEYS[0], 100.0)
    with owner.only_owner(status.PROGRESS / KEYS[1][1]):
        text = status.as_text(status._state("x", JOBS))
    assert "1 of 4 jobs are done; at 1 at a time the rest takes about 3 min, without 1 jobs of unknown length" in text
    assert [line.split()[:4] for line in text.splitlines()[3:5]] == [
        ["render_shard", "1", "1", "1"],
        ["probe", "0", "0", "1"],
    ]
    assert f"running: render shard a-1, process {os.getpid()} on {platform.node()}, for " in text


def test_a_job_that_just_ended_leaves_its_place_to_another():
    finish(*KEYS[0], 100.0)
    status.HEAD.mkdir(parents=True)
    status.write_asked(status.HEAD, JOBS)
    assert status.time_left() is None
    with owner.only_owner(status.PROGRESS / KEYS[1][1]):
        assert status.time_left() == "at 1 at a time the rest takes about 3 min, without 1 jobs of unknown length"
        assert status.time_left(1).startswith("at 2 at a time the rest takes about 1")


def test_the_label_counts_before_the_stage_and_copies_do_not():
    finish("probe", "a-s0-00000000000a", 60.0)
    finish("probe", "b-s0-00000000000b", 600.0)
    usual = status._usual()
    assert usual["probe/a-s0"] == 60 and usual["probe"] == 330
    state = status.Status("x", {}, frozenset(), (), usual)
    assert state.seconds(("probe", "a-s0-00000000000c")) == 60
    assert state.seconds(("probe", "c-s0-00000000000c")) == 330
    assert state.seconds(("pretrain", "c-s0-00000000000c")) is None


def test_jobs_with_the_same_parameters_but_for_the_seed_count_before_the_label():
    finish("train_classifier", "a-linf-ae-s0-00000000000a", 100.0, classifier={"steps": 7, "seed": 0})
    finish("train_classifier", "a-linf-ae-s1-00000000000b", 14.0, classifier={"steps": 1, "seed": 1})
    finish("train_classifier", "a-linf-vae-s0-00000000000c", 10.0, classifier={"steps": 0, "seed": 0})
    key = ("train_classifier", "a-linf-ae-s1-00000000000d")
    spec = {"stage": "train_classifier", "params": {"classifier": {"steps": 7, "seed": 1}}}
    for jobs, seconds in (({key: status.kind(json.dumps(spec))}, 100), ({key: "new"}, 14), ({}, 14)):
        assert status.Status("x", jobs, frozenset(), (), status._usual()).seconds(key) == seconds
    assert status._state("x", {key: status.kind(spec)}).seconds(key) == 100


def test_all_done():
    finish(*KEYS[0], 1.0)
    assert "1 of 1 jobs are done\n" in status.as_text(status._state("x", dict.fromkeys(KEYS[:1], "")))


def test_jobs_that_are_done_may_not_be_what_is_published():
    """Table 1's one job has been done, as for an earlier state of the study, and another's files have its name."""
    study = read_study([ROOT / "config.yaml"], {"scale": "test"})
    text = status.tell_status(["results/table1.csv"], study)
    assert "0 of 1 jobs are done" in text and "puts it right" not in text
    job = Plan(study).target("table1")
    finish(job.stage, job.id, 1.0)
    text = status.tell_status(["results/table1.csv"], study)
    assert "1 of 1 jobs are done" in text
    assert text.endswith("results/table1.csv is not there; snakemake results/table1.csv puts it right")


def test_nothing_runs_says_how_to_ask():
    with pytest.raises(UserError, match=r"name a target: robust3d status results/table4\.csv"):
        status.tell_status([], None)


def test_the_run_at_work_is_shown_without_a_target():
    code = (
        "import sys, time; from robust3d.provenance import owner, status\n"
        "owner.become_head(status.HEAD, 'results/table4.csv')\n"
        f"status.write_asked(status.HEAD, {JOBS!r}); print('head', flush=True); sys.stdin.read()"
    )
    head = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert head.stdout.readline() == "head\n"
    text = status.tell_status([], None)
    assert text.startswith(f"process {head.pid} on {platform.node()}, since {time.strftime('%Y')}")
    assert "making results/table4.csv\n0 of 4 jobs are done; nothing runs; unknown" in text
    head.communicate("")
    assert head.returncode == 0 and not status.HEAD.exists()


def test_a_dead_owner_does_not_run_and_one_on_another_node_runs_while_it_shows_life():
    folder = status.PROGRESS / KEYS[0][1]
    folder.mkdir(parents=True)
    (folder / "owner").write_text(f"process 999999 on {platform.node()}, since 2026-01-02 03:04:05")
    assert owner.alive(folder) is None
    (folder / "owner").write_text("process 7 on elsewhere, SLURM job 7, since 2026-01-02 03:04:05")
    assert owner.alive(folder) is not None
    before = time.time() - 2 * owner.SILENT_S
    os.utime(folder / "owner", (before, before))
    assert owner.alive(folder) is None
