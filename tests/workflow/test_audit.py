"""From a cell back to the meshes, and every byte on the way: on real results at the tests' scale."""

import json
import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from project import ROOT, Project

from robust3d.files import seal
from robust3d.provenance.brief import LINES, WIDTH, brief
from robust3d.provenance.verify import verify
from robust3d.provenance.why import why
from robust3d.study.reading import read_study

pytestmark = pytest.mark.slow

TABLE4 = Path("results/table4.csv")


def cells(project: Project) -> list[tuple[Path, str, str]]:
    """Every cell of every table there is."""
    found = []
    for table in sorted((project.folder / "results").glob("*.csv")):
        frame = pd.read_csv(table, index_col=0, dtype=str)
        found += [(table, str(row), str(column)) for row in frame.index for column in frame.columns]
    return found


@pytest.fixture
def here(finished: Project, monkeypatch) -> Project:
    """The finished project as the working directory."""
    monkeypatch.chdir(finished.folder)
    return finished


def copied(finished: Project, folder: Path) -> Project:
    """A copy of the project whose files are hard links, with code of its own."""
    ignored = shutil.ignore_patterns(".snakemake")  # Snakemake writes into these files, which would be the original's
    shutil.copytree(finished.folder, folder, symlinks=True, copy_function=os.link, ignore=ignored)
    shutil.copytree(finished.folder / ".snakemake", folder / ".snakemake")
    copy = Project.__new__(Project)
    copy.folder, copy.values, copy.environment = folder, finished.values, dict(finished.environment)
    return copy


def replaced(path: Path, content: bytes) -> None:
    """Write a file anew, so that no hard link to it changes."""
    path.unlink()
    path.write_bytes(content)


def test_why_resolves_every_cell_back_to_the_meshes(here):
    for table, row, column in cells(here):
        started = time.monotonic()
        answer = why(table.relative_to(here.folder), row, column)
        assert time.monotonic() - started < 2
        lines = brief(answer).splitlines()
        assert len(lines) <= LINES and max(map(len, lines)) <= WIDTH, lines
        stages = {step["stage"] for step in answer["steps"].values()}
        if table.stem in ("table3", "table4"):
            wanted = {"build_shapes", "render_shard", "index_views", "draw_set", "train_classifier"}
            assert stages >= wanted, (table, row, column)
            assert ("pretrain" in stages) == ("+AT" in column)
            assert answer["sources"] and answer["interval"]
        named = {name for step in answer["steps"].values() for name in step["made_from"]}
        assert named <= set(answer["steps"])
        for step in answer["steps"].values():
            assert step["code"] and step["command"] and len(step["lock"]) == 64 and step["host"]["name"]


def test_why_is_quick_and_tells_it_in_words(here):
    row, column = "Linf 8/255", "DVR+AT"
    started = time.monotonic()
    told = here.robust3d("why", str(TABLE4), "--row", row, "--column", column)
    assert told.returncode == 0 and time.monotonic() - started < 2, told.stderr
    assert len(told.stdout.splitlines()) <= LINES
    for text in ("interval", "difference to AT", "pretrain ", "render_shard ", "build_shapes "):
        assert text in told.stdout
    told = here.robust3d("why", str(TABLE4), "--row", row, "--column", column, "--full")
    record = next(r for job, r in here.records("pretrain").items() if job.startswith("dvr-categories"))
    for text in ("formula", "interval", "build_shapes", "render_shard", record["outputs"]["model"]["sha256"]):
        assert text in told.stdout
    as_json = here.robust3d("why", str(TABLE4), "--row", row, "--column", column, "--json")
    assert json.loads(as_json.stdout) == why(TABLE4, row, column)
    wrong = here.robust3d("why", str(TABLE4), "--row", "Linf", "--column", column)
    assert wrong.returncode == 2 and "'Linf 8/255', 'L2 1.0'" in wrong.stderr


def test_all_is_well_and_every_file_is_recorded(here):
    told = here.robust3d("verify")
    assert told.returncode == 0 and len(told.stdout.splitlines()) <= 3, told.stdout + told.stderr
    (here.folder / "results/pretrain/stranger.txt").write_text("whence?")
    told = here.robust3d("verify")
    (here.folder / "results/pretrain/stranger.txt").unlink()
    assert told.returncode == 1 and "UNRECORDED results/pretrain/stranger.txt" in told.stdout


def flip(path: Path) -> bytes:
    """Flip one bit in the middle of a file, with its times kept; returns it as it was."""
    whole, stat = path.read_bytes(), path.stat()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    replaced(path, bytes(changed))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return whole


def test_a_flipped_bit_in_any_file_is_named(finished, tmp_path, monkeypatch):
    """All outputs, then each record, then the lock and each source file of the closure."""
    project = copied(finished, tmp_path / "copy")
    monkeypatch.chdir(project.folder)
    results, study = Path("results"), read_study([Path("config.yaml")])
    outputs = [p for p in sorted(results.rglob("*")) if p.is_file() and not p.name.endswith("record.json")]
    outputs = [path for path in outputs if path.relative_to(results).parts[0] not in (".known", ".progress")]
    assert len(outputs) > 60
    before = {path: flip(path) for path in outputs}
    named = {finding.path for finding in verify([], study) if finding.state == "CHANGED"}
    assert named == {str(path) for path in outputs}
    for path, whole in before.items():
        replaced(path, whole)
    assert not [finding for finding in verify([], study) if finding.is_bad]

    records = sorted([*results.glob("*/*/record.json"), *results.glob("*.record.json")])
    for path in records:
        whole = flip(path)
        try:
            record = json.loads(path.read_text())
            assert record["seal"] != seal(record)
        except ValueError:
            pass  # no JSON any more: named as UNRECORDED below
        replaced(path, whole)
    before = {path: flip(path) for path in records}
    named = {finding.path for finding in verify([], study) if finding.is_bad}
    assert named >= {str(path) for path in records}
    for path, whole in before.items():
        replaced(path, whole)


def test_a_flipped_bit_in_code_or_lock_is_named(finished, tmp_path):
    project = copied(finished, tmp_path / "copy")
    source = project.take_source()
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    (project.folder / "envs").unlink()
    shutil.move(tmp_path / "envs", project.folder / "envs")
    assert project.robust3d("verify", str(TABLE4)).returncode == 0
    answer = json.loads(project.robust3d("why", str(TABLE4), "--row", "L2 1.0", "--column", "DVR+AT", "--json").stdout)
    used = {code["file"] for step in answer["steps"].values() for code in step["code"].values()}
    paths = [project.folder / name for name in [*sorted(used), "envs/requirements.lock"]]
    before = {path: path.read_bytes() for path in paths}
    for addition, code, says in ((b"#", 0, "{}: only comments"), (b"\n_ADDED = 1\n", 1, "{}: _ADDED")):
        for path, whole in before.items():
            path.write_bytes(whole + (addition if path.suffix == ".py" else b"# "))
        assert len(project.robust3d("verify", str(TABLE4)).stdout.splitlines()) <= LINES
        told = project.robust3d("verify", str(TABLE4), "--full")
        assert told.returncode == code, told.stdout + told.stderr
        assert "envs/requirements.lock: another lock" in told.stdout
        for name in sorted(used):
            assert says.format(name) in told.stdout, name
    for path, whole in before.items():
        path.write_bytes(whole)
    lock = project.folder / "envs/requirements.lock"
    lock.write_text(lock.read_text().replace("\nnumpy==1.26.4", "\nnumpy==1.26.3"))
    told = project.robust3d("verify", str(TABLE4))
    assert told.returncode == 1 and "numpy: 1.26.4 → 1.26.3" in told.stdout
    assert source.is_dir()


def test_three_random_records_repeat_to_the_same_bytes(finished, tmp_path):
    project = copied(finished, tmp_path / "copy")
    shutil.rmtree(project.folder / "results/.known")  # computed, not copied
    stages = ["render_shard", "train_classifier", "probe", "draw_set", "build_shapes", "pretrain"]
    rng = random.Random(os.environ.get("PYTEST_SEED", "records"))
    for stage in rng.sample(stages, 3):
        job, record = rng.choice(sorted(project.records(stage).items()))
        shutil.rmtree(project.folder / "results" / stage / job)
        command = ["robust3d", *record["command"][1:]]
        told = subprocess.run(command, cwd=project.folder, env=project.environment, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        again = project.records(stage)[job]
        assert again["outputs"] == record["outputs"] and again["reused"] is None


def test_another_study_is_stale_and_the_key_is_named(here):
    before = here.values
    here.change({"classifiers": {"linf": {"learning_rate": 0.03}}})
    try:
        told = here.robust3d("verify", str(TABLE4))
        assert told.returncode == 1 and "STALE" in told.stdout
        plan = here.robust3d("plan", str(TABLE4))
        assert plan.returncode == 0 and "parameter classifier.learning_rate: 0.02 → 0.03" in plan.stdout, plan.stdout
    finally:
        here.configure(before)
    assert "nothing to be done" in here.robust3d("plan", str(TABLE4)).stdout


def test_an_accepted_change_stands_beside_every_number_that_rests_on_it(finished, tmp_path):
    project = copied(finished, tmp_path / "copy")
    source = project.take_source()
    with (source / "training/loop.py").open("a") as file:
        file.write("\nHARMLESS = 1\n")
    told = project.robust3d("accept", "train_classifier", "--reason", "a constant nobody reads")
    assert told.returncode == 0, told.stderr
    cell = ("why", str(TABLE4), "--row", "L2 1.0", "--column", "AT")
    text, answer = project.robust3d(*cell).stdout, json.loads(project.robust3d(*cell, "--json").stdout)
    assert "accepted" in text and "a constant nobody reads" in text
    accepted = [step["accepted"] for step in answer["steps"].values() if step["stage"] == "train_classifier"]
    assert [entry["reason"] for entries in accepted for entry in entries] == ["a constant nobody reads"]
    # Pre-training runs the same loop; nobody has accepted it there.
    plan = project.robust3d("plan", str(TABLE4)).stdout
    assert "pretrain: " in plan and "src/robust3d/training/loop.py: HARMLESS" in plan


def planned(project: Project) -> dict[str, int]:
    """Jobs by rule that Snakemake would run for Tables 3 and 4."""
    told = project.make("-n", "results/table3.csv", "results/table4.csv")
    rows = re.findall(r"^(\w+) +(\d+)$", told, re.MULTILINE)
    return {rule: int(jobs) for rule, jobs in rows if rule != "total"}


def test_an_edit_plans_what_rests_on_it(finished, tmp_path):
    project = copied(finished, tmp_path / "copy")
    source = project.take_source()
    for path in project.folder.rglob("*"):
        if path.is_file():
            os.utime(path)
    assert planned(project) == {}

    def edited(name: str, addition: str) -> dict[str, int]:
        path = source / name
        whole = path.read_text()
        path.write_text(whole + addition)
        jobs = planned(project)
        told = project.robust3d("plan", str(TABLE4))
        assert told.returncode == 0 and ("because code" in told.stdout) == bool(jobs), told.stdout
        path.write_text(whole)
        return jobs

    assert edited("rendering/scene.py", "\n# a remark\n") == {}
    assert edited("papers/geon3d/table4.py", "\nX = 1\n") == {"tabulate": 1, "publish_table": 1}
    rendering = edited("rendering/scene.py", "\nX = 1\n")
    assert {"render_shard", "index_views", "draw_set", "train_classifier", "probe"} <= set(rendering)
    assert not {"build_shapes", "make_textures"} & set(rendering)
    assert planned(project) == {}


def test_diff_of_two_runs_names_the_key(finished, tmp_path):
    same = finished.robust3d("diff", str(finished.folder / "results"), str(finished.folder / "results"))
    assert same.returncode == 0 and "no difference" in same.stdout
    project = copied(finished, tmp_path / "copy")
    project.change({"attacks": {"Linf": {"settings": {"iterations": 6}}}})
    project.make("--cores", "2", str(TABLE4))
    told = project.robust3d("diff", str(finished.folder / "results"), "results")
    assert told.returncode == 1
    assert "parameter" in told.stdout and "params.iterations: 5 → 6" in told.stdout
    cell = ("--cell", "table4", "L2 1.0", "AT")
    assert project.robust3d("diff", str(finished.folder / "results"), "results", *cell).returncode == 0


def test_snakemakes_own_report_has_the_tables_and_their_captions(finished, tmp_path):
    finished.make("--report", str(tmp_path / "papers.geon3d.html"), "results/table3.csv", str(TABLE4))
    text = (tmp_path / "papers.geon3d.html").read_text()
    assert "the full-precision value" in text and "table3.csv" in text and "table4.csv" in text
    assert 'src="http' not in text and 'rel="stylesheet" href="http' not in text


def test_a_crate_of_the_table_has_its_code_and_lists_every_job(finished, tmp_path):
    project = copied(finished, tmp_path / "copy")
    project.take_source()
    told = project.robust3d("export", str(TABLE4), "--crate", str(tmp_path / "crate"))
    assert told.returncode == 0 and "changed" not in told.stdout, told.stderr + told.stdout
    command = ["runcrate", "report", str(tmp_path / "crate")]
    report = subprocess.run(command, env=project.environment, capture_output=True, text=True)
    _, row, column = cells(finished)[-1]
    for step in why(finished.folder / TABLE4, row, column)["steps"].values():
        assert step["job"] in report.stdout, report.stderr
        for code in step["code"].values():
            assert (tmp_path / "crate" / code["file"]).is_file()
