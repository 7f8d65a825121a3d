import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from robust3d import doctor
from robust3d.doctor import disk, project
from robust3d.doctor.datasets import data_sets
from robust3d.doctor.findings import ok, one_line, problem, tell
from robust3d.study.cluster import Cluster
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.stages import STAGES

ROOT = Path(__file__).parents[2]
SCALE = Path("workflow/scales/test.yaml")


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def study():
    return read_study([Path("config.yaml"), SCALE])


def test_a_sound_configuration_and_a_wrong_one(tmp_path):
    found, (told,) = project.read_configuration([SCALE])
    assert found is not None and told.state == "OK" and "'test'" in told.text
    (tmp_path / "wrong.yaml").write_text("seeds: 3\n")
    found, (told,) = project.read_configuration([tmp_path / "wrong.yaml"])
    assert found is None and told.state == "PROBLEM" and "seeds" in told.text and told.mend
    (tmp_path / "cluster.yaml").write_text("partitions: cpu\n")
    cluster, (told,) = project.read_cluster_file(tmp_path / "cluster.yaml")
    assert cluster == Cluster() and told.state == "PROBLEM" and "partitions" in told.text


def test_a_package_of_another_version(monkeypatch):
    assert {finding.state for finding in project.check_packages()} == {"OK"}
    real = project._installed
    monkeypatch.setattr(project, "_installed", lambda name: {"torch": "2.9.1+cpu", "bpy": "none"}.get(name, real(name)))
    (_, found) = project.check_packages()
    assert found.state == "PROBLEM" and "make environment" in found.mend
    assert "installed is 2.9.1+cpu" in found.text and "bpy" in found.text and "numpy" not in found.text


def test_code_that_cannot_be_read(monkeypatch):
    def broken(self):
        raise SyntaxError("invalid syntax (pgd.py, line 3)")

    monkeypatch.setattr(Plan, "every_job", broken)
    plan, found = project.plan_study(study())
    assert plan is None and found.state == "PROBLEM" and "pgd.py" in found.text


def test_a_data_set_that_is_not_there(tmp_path):
    values = study()
    textures = values.textures.model_copy(update={"source": "dtd", "path": str(tmp_path / "dtd")})
    values = values.model_copy(update={"textures": textures})
    assert {data.key for data in data_sets(values)} - {data.key for data in data_sets(study())} == {"textures.path"}
    found, *_ = project.check_data_sets(values)
    assert found.state == "PROBLEM" and f"{tmp_path}/dtd is not there" in found.text
    assert "robots.ox.ac.uk" in found.mend and "for research" in found.mend
    for name in textures.classes:
        (tmp_path / "dtd" / "dtd" / "images" / name).mkdir(parents=True)  # as the archive unpacks
    found, *_ = project.check_data_sets(values)
    assert found.state == "OK"
    (tmp_path / "dtd" / "dtd" / "images" / textures.classes[1]).rmdir()
    found, *_ = project.check_data_sets(values)
    assert found.state == "PROBLEM" and f"no images/{textures.classes[1]}" in found.text


def test_too_little_room_names_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(disk.os, "statvfs", lambda folder: SimpleNamespace(f_bavail=1000, f_frsize=4096))
    (found,) = disk.check_folder("results/", tmp_path, 5_000_000, "buy a disk")
    assert found.state == "PROBLEM" and found.mend == "buy a disk"
    assert "0.0 GB free" in found.text and str(tmp_path) in found.text
    (found,) = disk.check_folder("results/", tmp_path, 4_096_000, "buy a disk")
    assert found.state == "OK"


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (Path("/sys"), tmp_path / "file" / "results"):  # even root cannot
        (found,) = disk.check_folder("results/", folder, 1, "")
        assert found.state == "PROBLEM" and str(folder) in found.text and "write access" in found.mend
    assert not list(disk.RESULTS.glob(".doctor-*"))


def test_a_store_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    """Jobs succeed without it, so nothing has to be mended before a run."""
    (tmp_path / "file").write_text("")
    for place in (Path("/proc/nostore"), tmp_path / "file"):  # even root cannot
        (found,) = disk.check_store(place, 1)
        assert found.state == "WARNING" and str(place) in found.text and "cannot be written" in found.text
    (found,) = disk.check_store(tmp_path / "store", 1)
    assert found.state == "OK" and not list((tmp_path / "store").iterdir())
    monkeypatch.setattr(disk.os, "statvfs", lambda folder: SimpleNamespace(f_bavail=1, f_frsize=4096))
    (found,) = disk.check_store(tmp_path / "store", 5_000_000)
    assert found.state == "WARNING" and "needed" in found.text


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    (found,) = disk.check_locks(tmp_path)
    assert found.state == "OK"
    monkeypatch.setattr(disk, "TRY_LOCK", "pass")  # as if the other process had got the lock
    (found,) = disk.check_locks(tmp_path)
    assert found.state == "PROBLEM" and str(tmp_path) in found.text and "nolock" in found.mend

    def none(path):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(disk, "holds_lock", none)
    (found,) = disk.check_locks(tmp_path)
    assert found.state == "PROBLEM" and "No locks available" in found.text


def test_the_need_for_room_counts_views_and_models_that_are_not_there(tmp_path, monkeypatch):
    values, plan = study(), None
    plan = Plan(values)
    plan.every_job()
    pixels, views = 0.0, 0
    for name, family in values.families.items():
        # Some families show their test objects only.
        count = sum(len(job.params["instances"]) for job in plan.shards(name)) * family.cameras.views
        views += count
        pixels += count * family.render.resolution_px**2
    others = {
        "extract_encoder",
        "import_encoder",
        "train_classifier",
        "train_voxels",
        "train_reference",
        "train_generator",
    }
    models = sum(job.stage == "pretrain" for job in plan.jobs.values()) * disk.BYTES_A_PRETRAINING
    models += sum(job.stage in others for job in plan.jobs.values()) * disk.BYTES_A_NETWORK
    expected = views * disk.BYTES_A_VIEW + pixels * disk.BYTES_A_PIXEL + models
    monkeypatch.chdir(tmp_path)  # where nothing has been made
    assert disk.bytes_to_make(values, plan) == int(expected)
    for job in plan.jobs.values():
        for name in STAGES[job.stage].outputs:
            Path(job.output(name)).parent.mkdir(parents=True, exist_ok=True)
            Path(job.output(name)).touch()
    assert disk.bytes_to_make(values, plan) == 0


def places(cluster_file):
    return list(doctor._check_places(Cluster(), cluster_file, "in a hurry", 1))


def test_without_slurm_it_depends_on_the_cluster_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    first, *_ = places(tmp_path / "cluster.yaml")
    assert first.state == "NOT CHECKED" and "jobs run on this machine" in first.text
    (tmp_path / "cluster.yaml").write_text("partition: cpu\n")
    (found,) = places(tmp_path / "cluster.yaml")
    assert found.state == "PROBLEM" and "sbatch is not on PATH" in found.text and "login node" in found.mend


def test_programs_without_a_cluster_are_a_problem_only_with_a_cluster_file(fake, tmp_path):
    fake.fails("sinfo", "Unable to contact slurm controller")
    first, *rest = places(tmp_path / "cluster.yaml")
    assert first.state == "NOT CHECKED" and all(finding.state != "PROBLEM" for finding in rest)
    (tmp_path / "cluster.yaml").write_text("partition: cpu\n")
    assert "PROBLEM" in [finding.state for finding in places(tmp_path / "cluster.yaml")]


def test_elsewhere_nothing_is_written(fake, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    findings = list(doctor.examine([], cluster_file=tmp_path / "cluster.yaml"))
    assert findings[0].state == "PROBLEM" and "run from the root" in findings[0].mend
    assert not list(elsewhere.iterdir()) and findings[-1].state == "NOT CHECKED"


def test_lines_and_counts():
    text = tell([ok("disk", "fine"), problem("SLURM", "two\nlines", "mend it")])
    assert text.splitlines()[:2] == ["OK           disk: fine", "PROBLEM      SLURM: two lines → mend it"]
    assert text.splitlines()[2] == "1 PROBLEM, 0 WARNING, 0 NOT CHECKED, 1 OK"
    assert one_line("a" * 400, 100) == "… " + "a" * 100


def test_nothing_that_makes_results_imports_it():
    from robust3d.study.closure import closure

    modules = {name for stage in STAGES for name in closure((f"robust3d.stages.{stage}",))}
    assert not any(name.startswith("robust3d.doctor") for name in modules)


def command(tmp_path, *arguments):
    environment = os.environ | {"PATH": str(tmp_path), "ROBUST3D_CLUSTER": str(tmp_path / "cluster.yaml")}
    call = [sys.executable, "-m", "robust3d.cli", "doctor", "--configfile", str(SCALE), *arguments]
    return subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env=environment)


def test_the_command_for_programs_and_its_status(tmp_path):
    told = command(tmp_path, "--quick", "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    findings = json.loads(told.stdout)
    assert {"state", "check", "text", "mend"} == set(findings[0])
    assert "NOT CHECKED" in {finding["state"] for finding in findings}
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump({"partition": "cpu"}))
    told = command(tmp_path, "--quick")
    assert told.returncode == 1 and "PROBLEM      SLURM" in told.stdout and "→" in told.stdout


@pytest.mark.slow
def test_this_machine_renders(tmp_path):
    told = command(tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "rendered a frame" in told.stdout and "torch 2." in told.stdout
