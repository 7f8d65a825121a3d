import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from configuration import at_test_scale

from robust3d.errors import UserError
from robust3d.provenance import owner, runner, store
from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path, monkeypatch) -> Job:
    """A cheap real job, in a folder of its own."""
    values = at_test_scale()
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    monkeypatch.chdir(tmp_path)
    return Plan(load_study(values)).build_shapes("geons", "cone")


def arguments(job: Job):
    outputs = {name: Path(job.output(name)) for name in ("shapes", "manifest", "record")}
    return job.spec, job.id, {}, outputs, 1, ["robust3d", "run"]


def run_apart(job: Job, **variables: str) -> subprocess.Popen:
    """The job as Snakemake runs it: a process of its own."""
    outputs = [part for name in ("shapes", "manifest", "record") for part in ("--output", name, job.output(name))]
    command = [sys.executable, "-m", "robust3d.cli", "run", "--job", job.id, "--spec", job.spec, *outputs]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | variables)


CONE = "shapes/geons.py"  # a module of the closure of `job`, loaded when its stage runs
ORIGINAL, OTHER = "(low + high) / 2", "(low + side) / 2"


@pytest.fixture
def source(tmp_path) -> Path:
    """A copy of the code that a test may edit."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    return Path(shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignored))


def edited(source: Path) -> str:
    """Other code of the same length, which makes other shapes."""
    text = (source / "robust3d" / CONE).read_text()
    assert text.count(ORIGINAL) == 1 and len(ORIGINAL) == len(OTHER)
    return text.replace(ORIGINAL, OTHER)


def test_a_job_publishes_outputs_and_a_record(job):
    process = run_apart(job)
    assert process.wait() == 0, process.stderr.read()
    record = json.loads(Path(job.output("record")).read_text())
    assert record["spec"] == json.loads(job.spec)
    for output in record["outputs"].values():
        digest = subprocess.run(["sha256sum", output["path"]], capture_output=True, text=True).stdout.split()[0]
        assert output["sha256"] == digest and output["bytes"] == os.path.getsize(output["path"])
    assert "robust3d.shapes.geons" in record["code"]
    assert not (store.PROGRESS / job.id).exists()
    assert not list(Path("results").rglob(".partial*"))


def test_a_finished_job_is_not_run_again(job):
    assert run_apart(job).wait() == 0
    record = Path(job.output("record"))
    before = record.stat().st_mtime_ns
    assert run_apart(job).wait() == 0
    assert record.stat().st_mtime_ns == before


def test_a_damaged_output_is_made_again(job):
    assert run_apart(job).wait() == 0
    shapes = Path(job.output("shapes"))
    whole = shapes.read_bytes()
    shapes.write_bytes(whole[:-10])
    assert run_apart(job).wait() == 0
    assert shapes.read_bytes() == whole


def test_other_code_is_refused(job):
    spec = json.loads(job.spec)
    spec["code"] = "0" * 64
    with pytest.raises(UserError, match="the code has changed"):
        runner.run(json.dumps(spec), *arguments(job)[1:])
    assert not Path(job.output("shapes")).exists()


def test_other_packages_are_refused(job):
    spec = json.loads(job.spec)
    spec["packages"]["numpy"] = "0.1"
    with pytest.raises(UserError, match=r"asks for numpy 0\.1"):
        runner.run(json.dumps(spec), *arguments(job)[1:])


def test_what_a_killed_run_left_is_cleared(job):
    shapes = Path(job.output("shapes"))
    shapes.parent.mkdir(parents=True)
    leftover, other = (shapes.with_name(f".partial-1-{name}") for name in (shapes.name, "of-another.file"))
    leftover.write_text("half")
    other.write_text("half")
    assert run_apart(job).wait() == 0
    assert shapes.exists() and not leftover.exists() and other.exists()


def test_a_failing_job_leaves_nothing(job):
    spec = json.loads(job.spec)
    spec["params"]["class_name"] = "teapot"
    with pytest.raises(ValueError, match="teapot"):
        runner.run(json.dumps(spec), *arguments(job)[1:])
    assert not list(Path(job.output("shapes")).parent.iterdir())


def test_two_processes_with_one_job_take_turns(job):
    with owner.only_owner(store.PROGRESS / job.id):
        second = run_apart(job)
        time.sleep(3)
        assert second.poll() is None and not Path(job.output("record")).exists()
    assert second.wait() == 0
    assert "waiting for process" in second.stderr.read()


def test_code_that_was_edited_while_a_job_waited_is_refused(job, source):
    with owner.only_owner(store.PROGRESS / job.id):
        waiting = run_apart(job, PYTHONPATH=str(source))
        assert "waiting for process" in waiting.stderr.readline()
        (source / "robust3d" / CONE).write_text(edited(source))
    assert waiting.wait() == 2 and "the code has changed" in waiting.stderr.read()
    assert not Path(job.output("shapes")).exists()


@pytest.mark.parametrize("is_broken", [False, True])
def test_an_edit_while_a_job_works_changes_nothing(job, source, is_broken):
    """Modules are loaded when they are needed: here the edit comes just before the stage's."""
    assert run_apart(job).wait() == 0
    made = {name: Path(job.output(name)).read_bytes() for name in ("shapes", "manifest")}
    code = json.loads(Path(job.output("record")).read_text())["code"]
    shutil.rmtree("results")
    path, text = source / "robust3d" / CONE, "def broken(:" if is_broken else edited(source)
    with (source / "robust3d/registry.py").open("a") as registry:  # outside the digest
        registry.write(f"\n_load = load\ndef load(*name):\n    Path({str(path)!r}).write_text({text!r})\n")
        registry.write("    return _load(*name)\n")
    process = run_apart(job, PYTHONPATH=str(source))
    assert process.wait() == 0, process.stderr.read()
    assert path.read_text() == text
    assert {name: Path(job.output(name)).read_bytes() for name in made} == made
    assert json.loads(Path(job.output("record")).read_text())["code"] == code


def test_compiled_code_of_an_earlier_source_is_not_run(job, source):
    """Python takes it for the source's if length and whole seconds agree."""
    assert run_apart(job).wait() == 0
    made = Path(job.output("shapes")).read_bytes()
    shutil.rmtree("results")
    path = source / "robust3d" / CONE
    text = path.read_text()
    for content in (edited(source), text):
        path.write_text(content)
        os.utime(path, (1_800_000_000, 1_800_000_000))
        if content != text:
            caching = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": ""}
            subprocess.run([sys.executable, "-c", "import robust3d.shapes.geons"], env=caching, check=True)
    assert list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))
    process = run_apart(job, PYTHONPATH=str(source))
    assert process.wait() == 0, process.stderr.read()
    assert Path(job.output("shapes")).read_bytes() == made


def test_a_mistake_ends_in_one_line_and_code_2(job):
    spec = json.loads(job.spec) | {"code": "0" * 64}
    command = [sys.executable, "-m", "robust3d.cli", "run", "--job", job.id, "--spec", json.dumps(spec)]
    told = subprocess.run([*command, "--output", "record", job.output("record")], capture_output=True, text=True)
    assert told.returncode == 2
    assert told.stderr.startswith("robust3d: ") and len(told.stderr.splitlines()) == 1
