"""Blank views are named, left out or kept as the key says, and travel with the numbers; other bytes do not change."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from robust3d.data.blank import BlankViews, why_blank, without_blank
from robust3d.data.frame import Frame
from robust3d.data.manifest import Shard, Views
from robust3d.data.shards import places
from robust3d.errors import UserError
from robust3d.provenance.runner import Context
from robust3d.shapes.mesh import Mesh
from robust3d.stages import index_views, render_shard
from robust3d.tables.cells import run_flags

SIDE = 8
PART, NONE, ALL = np.eye(SIDE, dtype=bool), np.zeros((SIDE, SIDE), bool), np.ones((SIDE, SIDE), bool)
BOX = Mesh(np.eye(3), np.int32([[0, 1, 2]]), np.ones((1, 3), np.float32))
SHOWN = {"a": [PART, PART], "b": [PART, NONE], "c": [ALL, PART]}  # masks by object


def frames(masks=SHOWN):
    for instance, of in masks.items():
        for view, mask in enumerate(of):
            depth = np.where(mask, np.float32(2), np.float32(np.inf))
            rgba = np.full((SIDE, SIDE, 4), 255, np.uint8) * mask[..., None]
            yield Frame(instance, view, rgba, mask, depth, np.eye(4) + view, np.eye(3))


def test_what_is_blank():
    one = NONE.copy()
    one[3, 4] = True
    assert why_blank(one) is why_blank(~one) is why_blank(PART) is None
    assert why_blank(NONE) == "no pixel of the object" and why_blank(ALL) == "no pixel of the background"


def test_objects_with_a_blank_view_are_left_out_or_kept_or_end_the_job():
    skip, keep = BlankViews("skip"), BlankViews("keep")
    assert [(frame.instance, frame.view) for frame in without_blank(frames(), skip)] == [("a", 0), ("a", 1)]
    assert [frame.instance for frame in without_blank(frames(), keep)] == list("aabbcc")
    assert skip.left_out == ["b", "c"] and keep.left_out == []
    assert skip.views == keep.views == {
        "b": ["view 1: no pixel of the object"],
        "c": ["view 0: no pixel of the background"],
    }  # fmt: skip
    error = BlankViews("error")
    passed = without_blank(frames(), error)
    assert next(passed).instance == "a"
    with pytest.raises(UserError, match=r"b: view 1 has no pixel of the object.*blank_views: skip .*keep"):
        list(passed)
    assert BlankViews("skip").entry() == {} and BlankViews("skip").notices("any") == []


@pytest.fixture
def rendering(tmp_path, monkeypatch):
    """Runs `render_shard` on a renderer that shows the masks above; gives its context."""
    monkeypatch.setattr(render_shard, "load_meshes", lambda path, instances: dict.fromkeys(SHOWN, BOX))
    monkeypatch.setattr(render_shard, "mesh_digest", lambda mesh: "digest")
    monkeypatch.setattr(render_shard, "render_instances", lambda *given: frames())

    def run(policy):
        told = {"class_name": "cone", "instances": list(SHOWN), "cameras": {"views": 2}, "extent": 1.0, "seed": 0}
        told["render"] = {"resolution_px": SIDE, "blank_views": policy}
        folder = tmp_path / policy
        (folder / "progress").mkdir(parents=True)
        outputs = {"views": folder / "views.h5", "manifest": folder / "manifest.json"}
        job = Context(told, {"shapes": [tmp_path]}, outputs, folder / "progress", 1)
        render_shard.run(job)
        return job

    return run


def index(job, classes=("cone",)):
    told = {"family": "solids", "classes": classes, "views": 2, "resolution_px": SIDE, "extent": 1.0, "seed": 0}
    path = job.outputs["manifest"].with_name("views.json")
    inputs = {"shards": [job.outputs["manifest"]]}
    index_views.run(Context(told | {"split": None, "groups": {}}, inputs, {"manifest": path}, path.parent, 1))
    return Views.read(path)


def test_own_renders_that_are_blank_are_left_out_and_named(rendering, capsys):
    job = rendering("skip")
    assert places(job.outputs["views"]) == [("a", 0), ("a", 1)]
    entry = json.loads(job.outputs["manifest"].read_text())
    assert entry["frames"] == 2 and entry["blank"]["left_out"] == job.notes["blank"]["left_out"] == ["b", "c"]
    assert list(entry["meshes"]) == ["a"]  # a later shard would look for the others' frames in vain
    assert "2 blank views" in capsys.readouterr().err
    views = index(job)
    assert views.splits == {"all": ("a",)} and views.blank.left_out == ["cone/b", "cone/c"]
    (first, second) = views.notices()
    assert first.startswith("family solids: 2 blank views") and "2 objects (cone/b, cone/c) were skipped" in first
    assert "2 objects (cone/b, cone/c)" in second


def test_kept_ones_are_named_all_the_same(rendering):
    views = index(rendering("keep"))
    assert views.splits == {"all": ("a", "b", "c")}
    (notice,) = views.notices()
    assert "2 objects (cone/b, cone/c) are among the images (blank_views: keep)" in notice
    model = {"encoder": None, "collapse": None}
    assert run_flags([model | {"data_notices": [notice]}, model]) == [notice]
    assert run_flags([model, model]) == []


def test_a_class_without_a_sound_object_names_the_reason(rendering, monkeypatch):
    monkeypatch.setitem(SHOWN, "a", [NONE, NONE])
    with pytest.raises(UserError, match=r"not one sound object of class cone; family solids: 4 blank views.*3 objects"):
        index(rendering("skip"))
    with pytest.raises(UserError, match="a: view 0 has no pixel of the object"):
        rendering("error")


def test_without_blank_views_a_manifest_says_nothing_of_them(tmp_path):
    shard = Shard("results/views.h5", {"cone": ("a",)}, "0" * 64, 7)
    views = Views("solids", ("cone",), 2, SIDE, 1.0, {"all": ("a",)}, (shard,))
    views.write(tmp_path / "views.json")
    before = {name: value for name, value in asdict(views).items() if name not in ("blank", "faults")}
    assert (tmp_path / "views.json").read_text() == json.dumps(before, indent=1, sort_keys=True) + "\n"
    assert Views.read(tmp_path / "views.json") == views and views.notices() == []


def test_frames_are_copied_whatever_becomes_of_blank_ones():
    told = {"cameras": {"views": 2, "radius": 3.0}, "render": {"resolution_px": 8, "blank_views": "skip"}, "extent": 1}
    kept = told | {"render": {"resolution_px": 8, "blank_views": "keep"}}
    assert render_shard._look(told) == render_shard._look(kept)
    assert render_shard._look(told) != render_shard._look(told | {"render": {"resolution_px": 9}})
