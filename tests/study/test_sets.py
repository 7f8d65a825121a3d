"""Image sets in a study: what their entries may say, and what the jobs that open them are made from."""

import os
import re
from pathlib import Path

import pytest
from image_files import colours, save

from robust3d.errors import UserError
from robust3d.study.like import merge
from robust3d.study.needs import data_folders
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study, read_yaml

ROOT = Path(__file__).parents[2]
BASE = read_yaml(ROOT / "config.yaml") | {"pretraining": {}}
for name in ("figure4", "figure5", "figure7", "figure9"):
    BASE["papers"]["geon3d"][name] |= {"pretraining": None}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def values(tmp_path) -> dict:
    """The default study without pre-trainings, its categories replaced by pictures of a folder."""
    for place in ("train/a/0", "train/b/0", "test/a/0", "test/b/0"):
        save(tmp_path / f"pictures/{place}.png", colours(1))
    entry = {"kind": "folder", "path": str(tmp_path / "pictures"), "resolution_px": 32, "shards": 3}
    experiment = {"set": "pictures", "pretrain_input": None, "pretrain_target": None}
    return merge(BASE, {"sets": {"pictures": entry}, "experiments": {"categories": experiment}})


def jobs_of(values: dict):
    plan = Plan(load_study(values))
    experiment = plan.study.experiments["categories"]
    model = plan.train_classifier("linf", experiment, None, 0)
    return plan, model, plan.outcomes(model, "Linf", experiment)


def test_jobs_that_open_a_set_name_its_module_and_read_its_files(values):
    plan, model, attack = jobs_of(values)
    packs = plan.pack_images("pictures")
    assert [job.params["block"] for job in packs] == [[0, 3], [1, 3], [2, 3]] and len({job.id for job in packs}) == 3
    for job, name in ((model, ""), (attack, ":set")):
        assert "robust3d.imagesets.folder" in job.modules and "robust3d.imagesets.views" not in job.modules
        assert (
            job.inputs[f"images{name}"] == tuple((pack, "manifest") for pack in packs)
            and f"views{name}" not in job.inputs
        )
        assert job.bulk_paths() == [pack.output("images") for pack in packs]
        assert "data_on_disk" not in job.params
    assert model.params["set"]["kind"] == attack.params["sets"]["set"]["kind"] == "folder"
    black = plan.train_classifier("linf", plan.study.experiments["black"], None, 0)
    assert "robust3d.imagesets.views" in black.modules and "robust3d.imagesets.folder" not in black.modules
    assert plan.target("table4") and plan.target("figure7")


def test_a_test_reads_two_sets_of_different_kinds(values):
    plan = Plan(load_study(merge(values, {"experiments": {"correlated": {"shifted": "pictures"}}})))
    experiment = plan.study.experiments["correlated"]
    job = plan.outcomes(plan.train_classifier("linf", experiment, None, 0), "shift", experiment)
    assert {"robust3d.imagesets.views", "robust3d.imagesets.folder"} <= set(job.modules)
    assert job.inputs["set:set"][0][0] is plan.draw_set("correlated") and "images:shifted" in job.inputs
    assert job.inputs["set:shifted"][0][0] is plan.draw_set("pictures") and "views:shifted" not in job.inputs


def test_what_changes_on_disk_changes_the_set_and_what_rests_on_it(values, tmp_path):
    def digests() -> list[str]:
        return [job.digest for job in jobs_of(values)[1:]]

    before = digests()
    assert digests() == before
    os.utime(tmp_path / "pictures/train/a/0.png", (1, 1))
    after = digests()
    assert not set(after) & set(before)


def test_pictures_that_are_not_there_are_told_before_anything_runs(values, tmp_path):
    assert list(data_folders([jobs_of(values)[2]]).values()) == [None]
    (tmp_path / "pictures/train/a/0.png").unlink()
    (tmp_path / "pictures/test/a/0.png").unlink()
    told = data_folders([jobs_of(values)[2]])
    assert list(told) == [str(tmp_path / "pictures")]
    assert re.match(r"sets\.pictures: .*no picture of class 'a'", told[str(tmp_path / "pictures")])
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    (message,) = data_folders([jobs_of(values)[2]]).values()
    assert message.startswith(f"sets.pictures.path: no folder {tmp_path}/pictures")


AE = {"label": "AE", "method": "ae"}


@pytest.mark.parametrize(
    ("overlay", "says"),
    [
        (
            {"sets": {"x": {"kind": "dreams"}}},
            "there is no set called 'dreams': robust3d.imagesets have benchmark, broden, cue_conflict, digits, ",
        ),
        ({"sets": {"x": {"kind": "folder", "path": "p"}}}, "x.resolution_px: missing"),
        ({"sets": {"x": {"kind": "folder", "path": "p", "resolution_px": 32, "family": "geons"}}}, "x.family: unknown"),
        ({"sets": {"x": {"images": [10, 10, 10]}}}, "x.family: missing"),
        ({"sets": {"x": {"family": "nowhere"}}}, "sets.x.family: 'nowhere' is not defined"),
        ({"sets": {"x": None}}, "sets"),
        ({"sets": {"pictures": {"resize_px": 16}}}, "resize_px: belongs to fit: crop, and is at least"),
        ({"sets": {"pictures": {"fit": "stretch", "resize_px": 64}}}, "resize_px: belongs to fit: crop"),
        ({"pretraining": {"ae": AE}}, "set 'pictures' of experiment 'categories' is not made of views; give it data"),
        (
            {"experiments": {"categories": {"set": "black"}}, "pretraining": {"ae": AE}},
            "experiments.categories.pretrain_input: missing; pretraining.ae needs it",
        ),
    ],
)
def test_entries_that_cannot_be_are_refused_by_name(values, overlay, says):
    with pytest.raises(UserError) as told:
        load_study(merge(values, overlay))
    assert says in str(told.value)


def test_a_pre_training_on_data_of_its_own_goes_with_pictures(values):
    data = {"family": "geons", "input": {"kind": "black"}, "target": {"kind": "black"}}
    overlay = {"pretraining": {"ae": AE | {"data": data, "experiments": ["categories"]}}}
    plan = Plan(load_study(merge(values, overlay)))
    model = plan.train_classifier("linf", plan.study.experiments["categories"], "ae", 0)
    assert model.inputs["encoder"] and model.inputs["images"]
