"""`robust3d accept` says of which code it speaks, and asks where there are several."""

import json
from pathlib import Path

import pytest
from configuration import at_test_scale

from robust3d.errors import UserError
from robust3d.provenance import accept as module
from robust3d.provenance.accept import accept
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

ROOT = Path(__file__).parents[2]
STUDIED, TRIED = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def planned():
    study = load_study(at_test_scale())
    return study, Plan(study).every_job()


@pytest.fixture
def project(tmp_path, monkeypatch, planned):
    """Finished jobs of two codes, those of one tried last on one class; the code of now has changed since."""
    study, jobs = planned
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    (tmp_path / "workflow").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "Plan", lambda study: type("Plan", (), {"every_job": lambda self: jobs})())
    monkeypatch.setattr(module, "acceptances", tuple)
    monkeypatch.setattr(module, "accepted_file", lambda: tmp_path / "workflow/accepted.json")
    shapes = [job for job in jobs if job.stage == "build_shapes"]
    two = [job for job in shapes if job.modules == shapes[0].modules][:2]
    assert len(two) == 2
    for code, made, started in ((STUDIED, two, "2026-01-02T10:00:00"), (TRIED, two[:1], "2026-02-03T10:00:00")):
        for job in made:
            record = {"spec": {**json.loads(job.spec), "code": code}, "started": started}
            record |= {"job": f"{job.label}-{code[:12]}", "inputs": {}, "outputs": {}}
            path = Path("results/build_shapes", record["job"], "record.json")
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(record))
    return study


def counts_as() -> list[str]:
    return [entry["counts_as"] for entry in json.loads(Path("workflow/accepted.json").read_text())]


def test_of_several_codes_none_is_chosen_silently(project):
    with pytest.raises(UserError) as refused:
        accept("build_shapes", "harmless", project)
    listed = [f"{STUDIED[:12]}: 2 jobs, the last of 2026-01-02", f"{TRIED[:12]}: 1 job, the last of 2026-02-03"]
    assert "--code" in str(refused.value) and all(line in str(refused.value) for line in listed)
    assert not Path("workflow/accepted.json").exists()


@pytest.mark.parametrize("code", [STUDIED, TRIED])
def test_the_code_that_is_chosen_counts(project, code):
    accept("build_shapes", "harmless", project, [code[:12]])
    assert counts_as() == [code]


def test_a_choice_of_no_code_and_of_both_is_refused(project):
    for chosen in (["c0ffee"], ["a", "b"]):
        with pytest.raises(UserError, match="several other codes"):
            accept("build_shapes", "harmless", project, chosen)
    with pytest.raises(UserError, match="--code c0ffee: no job"):
        accept("build_shapes", "harmless", project, ["a", "c0ffee"])
    assert not Path("workflow/accepted.json").exists()


def test_the_code_of_now_is_no_other(project, monkeypatch):
    monkeypatch.setattr(module, "closure_digest", lambda modules: TRIED)
    accept("build_shapes", "harmless", project)
    assert counts_as() == [STUDIED]
