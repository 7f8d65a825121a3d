"""Only what an edit touches is made again: with real Blender and real training, at the tests' scale."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from project import Project

from robust3d.data.shards import read_shards
from robust3d.files import sha256

pytestmark = pytest.mark.slow

GEONS = "plan.index_views('geons').output('manifest')"
TRAINED = "plan.train_classifier('standard', study.experiments['categories'], None, 0).output('info')"
CLASSES = ["cone", "cuboid"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Project:
    """Two classes of eight geons from three views each."""
    project = Project(tmp_path_factory.mktemp("rendered") / "project")
    project.change({"families": {"geons": {"shapes": {"classes": CLASSES}, "cameras": {"views": 3}}}})
    project.change({"experiments": {"correlated": {"pretrain_input": {"mapping": ["zigzagged", "banded"]}}}})
    for name in ("correlated", "shifted"):
        project.change({"sets": {name: {"background": {"mapping": ["zigzagged", "banded"]}}}})
    project.make("--cores", "2", project.path(GEONS))
    return project


@pytest.fixture
def project(rendered: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    shutil.copytree(rendered.folder, tmp_path / "copy", symlinks=True)
    copy = Project.__new__(Project)
    copy.folder, copy.values, copy.environment = tmp_path / "copy", rendered.values, dict(rendered.environment)
    return copy


def remake(project: Project, overlay: dict) -> dict[str, dict]:
    """Change the geons, ask again, and return the notes of the shards rendered now."""
    before = set(project.records("render_shard"))
    project.change({"families": {"geons": overlay}})
    project.make("--cores", "2", project.path(GEONS))
    return {job: record["notes"] for job, record in project.records("render_shard").items() if job not in before}


def count(notes: dict[str, dict]) -> tuple[int, int]:
    """Frames copied and rendered."""
    return tuple(sum(note[key] for note in notes.values()) for key in ("frames_copied", "frames_rendered"))


def frames(project: Project) -> dict[tuple[str, str, int], bytes]:
    """Every pixel, depth and camera of the family, by class, instance and view."""
    manifest = json.loads((project.folder / project.path(GEONS)).read_text())
    found = read_shards([project.folder / shard["path"] for shard in manifest["shards"]])
    names = zip(found.class_name.tolist(), found.instance.tolist(), found.view.tolist(), strict=True)
    fields = (found.rgba, found.mask, found.depth, found.world_to_camera, found.intrinsics)
    return {name: b"".join(np.asarray(field[i]).tobytes() for field in fields) for i, name in enumerate(names)}


def test_two_more_views_render_only_those(project):
    before = frames(project)
    assert count(remake(project, {"cameras": {"views": 5}})) == (2 * 8 * 3, 2 * 8 * 2)
    after = frames(project)
    assert len(after) == 2 * 8 * 5 and {name: after[name] for name in before} == before


def test_a_scaling_value_renders_only_the_new_instances(project):
    before = frames(project)
    assert count(remake(project, {"shapes": {"scalings": [0.8, 1.2, 1.0]}})) == (2 * 8 * 3, 2 * 19 * 3)
    after = frames(project)
    assert {name: after[name] for name in before} == before


def test_a_new_class_touches_no_other(project):
    notes = remake(project, {"shapes": {"classes": [*CLASSES, "barrel"]}})
    assert all(job.startswith("geons-barrel") for job in notes) and count(notes) == (0, 8 * 3)


def test_a_parameter_of_one_class_touches_that_class_only(project):
    notes = remake(project, {"shapes": {"overrides": {"cone": {"half_width": 0.3}}}})
    assert all(job.startswith("geons-cone") for job in notes) and count(notes) in {(0, 24), (24, 0)}


def test_other_shards_are_regrouped_without_rendering(project):
    before = frames(project)
    copied, drawn = count(remake(project, {"shard_instances": 3}))
    assert copied > 0 and drawn == 0
    assert frames(project) == before


def test_frames_are_copied_out_of_a_store_too(project, tmp_path):
    before = frames(project)
    project.change({"store": str(tmp_path / "store")})
    for views, expected in ((3, (0, 2 * 8 * 3)), (5, (2 * 8 * 3, 2 * 8 * 2))):
        shutil.rmtree(project.folder / "results")
        assert count(remake(project, {"cameras": {"views": views}})) == expected
        assert not list((project.folder / "results/.progress").iterdir())
    after = frames(project)
    assert {name: after[name] for name in before} == before


def test_other_light_renders_everything(project):
    assert count(remake(project, {"render": {"ambient": 0.2}})) == (0, 2 * 8 * 3)


def test_frames_of_a_damaged_shard_are_not_copied(project):
    for shard in (project.folder / "results/render_shard").glob("geons-cone-*/views.h5"):
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 1
        shard.write_bytes(content)
    assert count(remake(project, {"cameras": {"views": 4}})) == (8 * 3, 8 * 1 + 8 * 4)


def test_going_back_computes_nothing(project):
    original = project.values
    remake(project, {"cameras": {"views": 4}})
    project.configure(original)
    assert "Nothing to be done" in project.make(project.path(GEONS))


def test_lost_memory_touched_and_checked_out_files_change_nothing(project):
    shutil.rmtree(project.folder / ".snakemake")
    project.take_source()
    for path in project.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path)
    assert "Nothing to be done" in project.make(project.path(GEONS))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Project:
    """A standard classifier with code of its own."""
    project = Project(tmp_path_factory.mktemp("trained") / "project")
    project.take_source()
    project.make("--cores", "2", project.path(TRAINED))
    return project


def edit(path: Path, old: str, new: str) -> str:
    """Replace a text that must be there; returns the file as it was."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text


def test_other_code_with_the_same_bytes_takes_no_step_downstream(trained):
    """Rendering's code changes without effect: its shards are made again, the training is copied."""
    scene = trained.folder / "src/robust3d/rendering/pool.py"
    before = edit(scene, "GROWTH_MIB = 500", "GROWTH_MIB = 501")
    old = trained.records("train_classifier")
    told = trained.make("--cores", "2", trained.path(TRAINED))
    assert "rule render_shard:" in told and "rule train_classifier:" in told
    new = {job: record for job, record in trained.records("train_classifier").items() if job not in old}
    ((job, record),) = new.items()
    ((first, original),) = old.items()
    assert record["reused"]["job"] == first and record["seconds"] == original["seconds"]
    assert [f["sha256"] for f in record["outputs"].values()] == [f["sha256"] for f in original["outputs"].values()]
    assert record["inputs"]["views"] != original["inputs"]["views"]  # other places, the same content
    scene.write_text(before)
    assert "Nothing to be done" in trained.make(trained.path(TRAINED))

    # A damaged entry is noticed and computed anew; a hit takes less than two seconds.
    shutil.rmtree(trained.folder / "results/train_classifier" / job)
    weights = trained.folder / "results/train_classifier" / first / "classifier.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    edit(scene, "GROWTH_MIB = 500", "GROWTH_MIB = 501")
    told = trained.make(trained.path(TRAINED))
    assert "computed again, not copied" in told and trained.records("train_classifier")[job]["reused"] is None
    again = trained.folder / "results/train_classifier" / job / "classifier.safetensors"
    assert again.read_bytes() == whole
    weights.write_bytes(whole)
    shutil.rmtree(trained.folder / "results/train_classifier" / job)
    started = time.monotonic()
    log = trained.make(trained.path(TRAINED))
    assert trained.records("train_classifier")[job]["reused"]["job"] in {first, job}
    assert time.monotonic() - started < 20, log  # Snakemake's own start included
    scene.write_text(before)


def test_another_value_is_never_a_hit(trained):
    original = trained.values
    known = trained.records("train_classifier")
    trained.change({"classifiers": {"standard": {"learning_rate": 0.021}}})
    trained.make("--cores", "2", trained.path(TRAINED))
    (record,) = (r for job, r in trained.records("train_classifier").items() if job not in known)
    assert record["reused"] is None
    trained.configure(original)


def test_a_checkout_with_the_same_store_trains_nothing(trained, tmp_path):
    store = tmp_path / "store's place"
    first, second = (Project(tmp_path / name) for name in ("first", "second"))
    for project in (first, second):
        project.change({"store": str(store)})
    first.make("--cores", "2", first.path(TRAINED))
    second.make("--cores", "2", second.path(TRAINED))
    for stage in ("build_shapes", "render_shard", "train_classifier"):
        assert all(record["reused"] for record in second.records(stage).values()), stage
        theirs = {job: record["outputs"] for job, record in first.records(stage).items()}
        assert {job: record["outputs"] for job, record in second.records(stage).items()} == theirs


def test_a_store_of_no_use_is_said_at_the_start_and_stops_nothing(tmp_path):
    """... and a whole run leaves nothing in the temporary folder."""
    project = Project(tmp_path / "project")
    (tmp_path / "file").write_text("no folder")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    project.environment["TMPDIR"] = str(temporary)
    shard = project.path("plan.shards('geons')[0].output('manifest')")
    for place in ("/proc/nostore", str(tmp_path / "file")):  # even root cannot write there
        told = project.make("--cores", "2", "--config", f"store={place}", "--", shard)
        at_the_start = told.index(f"store: {place} cannot be written")
        assert at_the_start < told.index(f"warning: {place} does not offer results/") and "Traceback" not in told
        assert told.count("warning: ") == 2  # of the shapes and of the shard
        for record in (*project.records("build_shapes").values(), *project.records("render_shard").values()):
            for output in record["outputs"].values():
                assert sha256(project.folder / output["path"]) == output["sha256"]
        assert (project.folder / shard).exists() and not list(temporary.iterdir())
        shutil.rmtree(project.folder / "results")


def test_an_accepted_change_plans_nothing_and_is_shown(trained):
    loop = trained.folder / "src/robust3d/training/loop.py"
    before = edit(loop, "\nclass Task", "\nHARMLESS = 1\n\n\nclass Task")
    name = trained.path(TRAINED)
    assert not (trained.folder / name).exists()
    refused = trained.robust3d("accept", "train_classifier", "--reason", " ")
    assert refused.returncode == 2 and "--reason" in refused.stderr
    accepted = trained.robust3d("accept", "train_classifier", "--reason", "a constant nobody reads")
    assert accepted.returncode == 0, accepted.stderr
    name = trained.path(TRAINED)
    assert (trained.folder / name).exists()
    assert "Nothing to be done" in trained.make(trained.path(TRAINED))
    told = trained.robust3d("verify", trained.path(TRAINED))
    assert told.returncode == 0 and "a constant nobody reads" in told.stdout, told.stdout + told.stderr
    edit(loop, "HARMLESS = 1", "HARMLESS = 2")  # a further change is not covered
    assert not (trained.folder / trained.path(TRAINED)).exists()
    stale = trained.robust3d("verify", name)
    assert stale.returncode == 1 and re.search(r"STALE .*HARMLESS", stale.stdout), stale.stdout
    loop.write_text(before)
    (trained.folder / "workflow/accepted.json").unlink()


def _infos(project: Project) -> list[str]:
    """The outputs of the classifiers there are, oldest first."""
    records = sorted(project.records("train_classifier").values(), key=lambda record: record["started"])
    return [record["outputs"]["info"]["path"] for record in records]


def test_what_no_target_needs_is_listed_and_freed(trained):
    original = trained.values
    trained.change({"classifiers": {"standard": {"learning_rate": 0.5}}})
    listed = trained.robust3d("gc")
    folders = {Path(path).parent.name for path in _infos(trained)}
    assert listed.returncode == 0 and all(name in listed.stdout for name in folders), listed.stderr
    shards = set(trained.records("render_shard"))
    assert trained.robust3d("gc", "--delete").returncode == 0
    assert not trained.records("train_classifier")
    needed = set(trained.records("render_shard"))
    assert needed and needed <= shards
    trained.configure(original)
