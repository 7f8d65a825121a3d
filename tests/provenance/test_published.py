"""Tables under stable names: a copy of the one last asked for, whole or not at all."""

import json
from pathlib import Path

import pytest

from robust3d.data.published.inventory import Credit, Entry, Inventory
from robust3d.errors import UserError
from robust3d.files import seal, sealed, sha256, write_json
from robust3d.provenance.lineage import Lineage
from robust3d.provenance.plan import tell_plan
from robust3d.provenance.published import publish, wrong
from robust3d.provenance.verify import verify
from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.targets import published_paths

ROOT = Path(__file__).parents[2]
SCALES = ("test", "gpu")


def study(scale: str):
    return read_study([ROOT / "config.yaml"], {"scale": scale})


def make(job: Job, content: str) -> Path:
    """What the job of a table leaves in its folder; the record."""
    outputs = {}
    for name in ("table", "cells"):
        path = Path(job.output(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content} {name}")
        outputs[name] = {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}
    record = {
        "job": job.id, "spec": json.loads(job.spec), "inputs": {}, "outputs": outputs, "code": {}, "accepted": None,
        "environment": {"lock": sha256(ROOT / "envs/requirements.lock")}, "started": "2026-01-02T03:04:05+00:00",
        "seconds": 1.0,
    }  # fmt: skip
    write_json(Path(job.output("record")), sealed(record))
    return Path(job.output("record"))


@pytest.fixture
def jobs(tmp_path, monkeypatch) -> dict[str, Job]:
    """Table 1 of two studies, made in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    made = {scale: Plan(study(scale)).target("table1") for scale in SCALES}
    for scale, job in made.items():
        make(job, scale)
    return made


PLACES = {name: Path(path) for name, path in published_paths("table1").items()}


def put(job: Job) -> None:
    publish(Path(job.output("record")), PLACES)


def texts() -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(Path("results").glob("*.*"))}


def test_the_last_one_asked_for_is_there_and_the_others_wait(jobs):
    test, gpu = jobs.values()
    assert wrong(test) == wrong(gpu) == "is not there"
    put(test)
    assert wrong(test) == "" and wrong(gpu) == "is of study 'test'"
    first = texts()
    assert set(first) == {str(path) for path in PLACES.values()} and first["results/table1.csv"] == "test table"
    put(gpu)
    assert wrong(gpu) == "" and wrong(test) == "is of study 'gpu'"
    put(test)
    assert texts() == first
    assert Path(test.output("table")).read_text() == "test table" and Path(gpu.output("table")).read_text()


def test_the_record_beside_a_copy_tells_of_the_job_and_of_the_copies(jobs):
    put(jobs["test"])
    record = json.loads(PLACES["record"].read_text())
    assert record["seal"] == seal(record) and record["job"] == jobs["test"].id
    assert {name: file["path"] for name, file in record["outputs"].items()} == {
        "table": "results/table1.csv",
        "cells": "results/table1.cells.json",
    }
    step = Lineage().target("results/table1.cells.json")
    assert (step.label, step.stage, step.name) == ("table1", "tabulate", "results/table1.record.json")
    bad = {(found.state, found.path) for found in verify([], study("test")) if found.is_bad}
    assert not bad
    (whose,) = (found for found in verify([], study("gpu")) if found.is_bad)
    assert whose.state == "STALE" and "of study 'test', but the requested study is 'gpu'" in whose.detail
    PLACES["cells"].write_text("test cellz")
    bad = {(found.state, found.path) for found in verify(["results/table1.csv"], study("test")) if found.is_bad}
    assert bad == {("CHANGED", "results/table1.cells.json")}


@pytest.mark.parametrize("damaged", ["table", "cells"])
def test_nothing_changes_when_one_of_the_files_is_damaged(jobs, damaged):
    put(jobs["test"])
    before = texts()
    Path(jobs["gpu"].output(damaged)).write_text("other")
    with pytest.raises(UserError, match="differs from its record; delete the folder results/tabulate/"):
        put(jobs["gpu"])
    assert texts() == before and not list(Path("results").glob(".partial*"))


def test_a_copy_that_was_stopped_half_way_is_nobodys(jobs, monkeypatch):
    """The data are those of another study already, the record is not: neither study takes it for its own."""
    from robust3d import files

    put(jobs["test"])
    real, calls = files.publish, []

    def stop(temporary: Path, final: Path) -> None:
        calls.append(final)
        if temporary.name.startswith(".partial") and final == PLACES["cells"]:
            raise KeyboardInterrupt
        real(temporary, final)

    monkeypatch.setattr(files, "publish", stop)
    with pytest.raises(KeyboardInterrupt):
        put(jobs["gpu"])
    assert PLACES["table"].read_text() == "gpu table" and PLACES["cells"].read_text() == "test cells"
    assert wrong(jobs["test"]) == "has other bytes than its record says" and wrong(jobs["gpu"]) == "is of study 'test'"
    assert not list(Path("results").glob(".partial*"))


def test_what_is_lost_or_damaged_is_told(jobs):
    put(jobs["test"])
    PLACES["cells"].unlink()
    assert wrong(jobs["test"]) == "is incomplete"
    PLACES["record"].write_text("[]")
    assert wrong(jobs["test"]) == "has no record"
    PLACES["record"].unlink()
    assert wrong(jobs["test"]) == "has no record"
    PLACES["table"].unlink()
    assert wrong(jobs["test"]) == "is not there"


def test_a_record_that_was_edited_is_told(jobs):
    put(jobs["test"])
    record = json.loads(PLACES["record"].read_text())
    PLACES["table"].write_text("by hand")
    record["outputs"]["table"]["sha256"] = sha256(PLACES["table"])
    write_json(PLACES["record"], record)
    assert wrong(jobs["test"]) == "has a record that was changed after it was written"
    for odd in ([], ["job", "spec", "inputs", "outputs"], record | {"spec": None}, record | {"outputs": [1]}):
        PLACES["record"].write_text(json.dumps(odd))
        assert wrong(jobs["test"]) == "has no record"


def test_a_folder_in_the_place_of_a_table_is_told(jobs):
    PLACES["table"].mkdir()
    with pytest.raises(UserError, match=r"results/table1\.csv: cannot be written"):
        put(jobs["test"])
    assert [path.name for path in Path("results").glob("*.*")] == ["table1.csv"]


def test_metrics_that_were_made_anew_with_other_bytes_are_noticed(jobs):
    metrics = Path("results/metrics.json")
    metrics.write_text("{}")
    path = Path(jobs["test"].output("record"))
    record = json.loads(path.read_text())
    record["inputs"] = {"metrics": [{"path": str(metrics), "bytes": 2, "sha256": sha256(metrics)}]}
    write_json(path, sealed(record))
    put(jobs["test"])
    assert wrong(jobs["test"]) == ""
    metrics.write_text("[]")
    assert wrong(jobs["test"]) == "was made from files that have other bytes now"
    metrics.unlink()
    assert wrong(jobs["test"]) == ""  # nobody can tell; what is lost is made anew only when it is needed


def test_a_plan_tells_of_a_copy_that_takes_its_place(jobs):
    put(jobs["gpu"])
    told = tell_plan(["results/table1.csv"], study("test"))
    assert "results/table1.csv is of study 'gpu'; a copy of the earlier result replaces it" in told
    assert "0 jobs in all" in told and "1 tabulate" in told
    assert tell_plan(["results/table1.csv"], study("gpu")) == "results/table1.csv: nothing to be done"


def test_creators_are_named_beside_what_rests_on_their_objects(jobs):
    test, gpu = jobs.values()
    chair = Entry("Scopia.sh3f", 1, "x", credit=Credit("Oak chair", "Béa", "CC BY 3.0", "Scopia"))
    plain = Entry("other.obj", 1, "y")
    path = Path("results/inventory/objects-0123456789ab/inventory.json")
    path.parent.mkdir(parents=True)
    path.write_text(Inventory("sweethome3d", {"chair": {"a": chair, "b": plain}}).to_json())
    file = {"path": str(path), "bytes": path.stat().st_size, "sha256": sha256(path)}
    record = {"job": "objects-0123456789ab", "spec": {"stage": "inventory", "params": {}}, "inputs": {}}
    write_json(path.with_name("record.json"), sealed(record | {"outputs": {"inventory": file}}))
    of_test = Path(test.output("record"))
    content = json.loads(of_test.read_text()) | {"inputs": {"inventory": [file]}}
    write_json(of_test, sealed(content))
    put(test)
    told = Path("results/table1.attribution.txt").read_text()
    assert "Scopia: CC BY 3.0" in told and "Béa: Oak chair" in told and "Sweet Home 3D" in told
    put(gpu)  # rests on no such objects
    assert not Path("results/table1.attribution.txt").exists()
