"""Specs hold what identifies the data on disk that their jobs read; it is looked at once, and handed on to nodes."""

import json
from pathlib import Path

import pytest

from robust3d.study import on_disk
from robust3d.study.like import merge
from robust3d.study.on_disk import OnDisk
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study, read_yaml

ROOT = Path(__file__).parents[2]
BASE = read_yaml(ROOT / "config.yaml")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("ROBUST3D_DATA_ON_DISK", raising=False)


@pytest.fixture
def values(tmp_path) -> dict:
    """The default study with meshes, textures and weights from disk."""
    for part in ("train", "test"):
        (tmp_path / "meshes/bed" / part).mkdir(parents=True)
        (tmp_path / "meshes/bed" / part / f"{part}.off").write_text("OFF")
    for number in range(4):
        (tmp_path / "dtd/images/grid").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"dtd/images/grid/{number}.jpg").write_bytes(b"x")
    (tmp_path / "weights.pth").write_bytes(b"weights")
    family = {
        "kind": "modelnet",
        "shapes": {"path": str(tmp_path / "meshes"), "classes": ["bed"], "shards": 1},
        "split": {"mode": "published"},
        "cameras": {"protocol": "nmr", "views": 4},
        "render": {"resolution_px": 32, "samples": 2},
    }
    textures = {"source": "dtd", "path": str(tmp_path / "dtd"), "classes": ["grid"], "images_per_class": 4}
    weights = {"label": "W", "method": "weights", "params": {"weights": str(tmp_path / "weights.pth")}}
    return merge(
        BASE, {"families": {"disk": family}, "textures": textures, "pretraining": {"w": weights, "ae": {"start": "w"}}}
    )


def digests(values: dict, **more) -> dict[str, str]:
    plan = Plan(load_study(values), **more)
    experiment = plan.study.experiments["categories"]
    jobs = {
        "views": plan.index_views("disk"),
        "textures": plan.textures,
        "encoder": plan.encoder("w", experiment, 0),
        "started": plan.pretrain("ae", experiment, 0),
        "classifier": plan.train_classifier("linf", experiment, "w", 0),
        "plain": plan.train_classifier("linf", experiment, None, 0),
        "built": plan.index_views("geons"),
    }
    return {name: job.digest for name, job in jobs.items()}


def test_each_change_reaches_the_jobs_that_rest_on_it(values, tmp_path):
    def changed() -> set[str]:
        nonlocal before
        now = digests(values)
        names = {name for name in now if now[name] != before[name]}
        before = now
        return names

    before = digests(values)
    assert changed() == set()
    (tmp_path / "meshes/bed/train/train.off").write_text("OFF ")
    assert changed() == {"views"}
    (tmp_path / "dtd/images/grid/2.jpg").write_bytes(b"xy")
    assert changed() >= {"textures"}
    (tmp_path / "weights.pth").touch()
    assert changed() == set()  # the same bytes: training must not be repeated
    (tmp_path / "weights.pth").write_bytes(b"Weights")
    assert changed() == {"encoder", "started", "classifier"}
    (tmp_path / "weights.pth").unlink()  # planning goes on; the job tells
    assert changed() == {"encoder", "started", "classifier"}


def test_nodes_mean_the_data_that_were_seen_while_planning(values, tmp_path, monkeypatch):
    seen = OnDisk()
    monkeypatch.setattr(on_disk.os, "environ", dict(on_disk.os.environ))
    before = digests(values, on_disk=seen)
    seen.to_environment()
    (tmp_path / "meshes/bed/train/train.off").write_text("OFF ")
    monkeypatch.setattr(on_disk, "sha256", lambda path: pytest.fail("looked at again"))
    assert digests(values, on_disk=OnDisk.from_environment()) == before
    assert len(json.loads(on_disk.os.environ["ROBUST3D_DATA_ON_DISK"])) == 3


def test_studies_without_data_on_disk_look_at_nothing(monkeypatch):
    monkeypatch.setattr(OnDisk, "_look", lambda *_: pytest.fail("looked"))
    plan = Plan(load_study(BASE))
    assert plan.every_job() and not [job for job in plan.jobs.values() if "data_on_disk" in job.params]
