"""Published sets hold pictures that are all white and masks that are empty or full: no set may show them in silence."""

import numpy as np
import pytest
from PIL import Image

from robust3d.data.blank import BlankViews
from robust3d.data.manifest import Views
from robust3d.data.published import nmr, srn
from robust3d.data.published.identity import take
from robust3d.errors import UserError
from robust3d.families import nmr as nmr_family
from robust3d.families import srn as srn_family
from robust3d.parsing import parse
from robust3d.provenance.runner import Context
from robust3d.stages import draw_set, index_views, inventory, read_shard

SIDE, VIEWS = 8, 5
FAMILY = {"nmr": nmr_family, "srn": srn_family}
# Objects of class chair: their part, and what is blank of their views 0 to 4.
OBJECTS = {"good": ("train", ()), "some": ("val", (2, 4)), "few": ("train", (0, 1, 2)), "white": ("test", range(5))}


def picture(view, blank, full=False):
    """A mask with a pixel in the row of its view."""
    mask = np.full((SIDE, SIDE), full) if blank else np.zeros((SIDE, SIDE), bool)
    mask[view, 2] |= not blank
    return mask


def pose(view):
    matrix = np.eye(4)
    matrix[2, 3] = 2 + view
    return matrix


def write_srn(root, name, part, blank):
    folder = root / f"chair_{part}" / name
    for kind in ("rgb", "pose"):
        (folder / kind).mkdir(parents=True)
    (folder / "intrinsics.txt").write_text(f"9. 4. 4. 0.\n0. 0. 0.\n0.\n1.\n{SIDE} {SIDE}\n")
    for view in range(VIEWS):
        mask = picture(view, view in blank)
        Image.fromarray(np.where(mask, 9, 255).astype(np.uint8)).convert("RGB").save(folder / f"rgb/{view:06d}.png")
        np.savetxt(folder / f"pose/{view:06d}.txt", np.linalg.inv(pose(view)).reshape(1, 16))


def write_nmr(root, name, part, blank, full=False):
    folder = root / "chair" / name
    for kind in ("image", "mask"):
        (folder / kind).mkdir(parents=True)
    for view in range(VIEWS):
        mask = picture(view, view in blank, full)
        Image.fromarray(np.full((SIDE, SIDE, 3), 99, np.uint8)).save(folder / f"image/{view:04d}.png")
        Image.fromarray(255 * mask.astype(np.uint8)).save(folder / f"mask/{view:04d}.png")
    matrices = {f"world_mat_{view}": pose(view) for view in range(VIEWS)}
    matrices |= {f"camera_mat_{view}": np.diag([3.0, 3, 1, 1]) for view in range(VIEWS)}
    np.savez(folder / "cameras.npz", **matrices)
    with (root / "chair" / f"softras_{part}.lst").open("a") as lines:
        lines.write(f"{name}\n")


WRITE = {"srn": write_srn, "nmr": write_nmr}


def tree(root, kind, objects=OBJECTS, **how):
    if kind == "nmr":
        (root / "chair").mkdir(parents=True)
        for part in ("train", "val", "test"):
            (root / "chair" / f"softras_{part}.lst").touch()
    for name, (part, blank) in objects.items():
        WRITE[kind](root, name, part, blank, **how)
    return root


def manifest(folder, kind, root, **shapes):
    """Through the stages of the workflow."""
    folder.mkdir()
    params = parse(FAMILY[kind].Params, {"path": str(root), "classes": ["chair"], "resolution_px": SIDE} | shapes)

    def run(stage, told, inputs, **files):
        outputs = {name: folder / file for name, file in files.items()}
        job = Context(told, inputs, outputs, folder, 1)
        stage.run(job)
        return job

    source = params.model_dump(mode="json")
    told = {"kind": kind, "source": source, "data_on_disk": take(FAMILY[kind], params).identity}
    lists = run(inventory, told, {}, inventory="inventory.json").outputs["inventory"]
    told = {"kind": kind, "source": source, "class_name": "chair", "block": [0, 1]}
    files = {"views": "views.h5", "manifest": "shard.json", "sources": "sources"}
    shard = run(read_shard, told, {"inventory": [lists]}, **files)
    told = {"family": "pub", "classes": ["chair"], "extent": 1.0, "views": params.views, "seed": 0, "groups": {}}
    told |= {"resolution_px": SIDE, "split": {"mode": "published"}}
    inputs = {"shards": [shard.outputs["manifest"]], "inventory": [lists]}
    made = run(index_views, told, inputs, manifest="views.json").outputs["manifest"]
    return Views.read(made), shard, lambda told: run(draw_set, told, {"views": [made]}, table="set.parquet")


def shown(frames):
    """The views that frames come from, by their cameras."""
    return [round(float(matrix[2, 3])) - 2 for matrix in frames.world_to_camera]


@pytest.mark.parametrize("kind", ["srn", "nmr"])
def test_other_views_take_the_place_of_blank_ones_and_objects_with_too_few_are_left_out(kind, tmp_path, capsys):
    views, shard, draw = manifest(tmp_path / "out", kind, tree(tmp_path / "in", kind), views=3)
    assert views.splits == {"train": ("chair.good",), "val": ("chair.some",), "test": ()}
    frames = views.load(views.shards, {"chair.some"})
    assert list(frames.view) == [0, 1, 2] and frames.mask.any((1, 2)).all()
    # of five views places 0, 5/3, 10/3 rounded: 2 is blank; of the four others 0, 4/3, 8/3: 4 is blank; then all three
    assert shown(frames) == [0, 1, 3]
    assert shown(views.load(views.shards, {"chair.good"})) == [0, 2, 3]
    part = {"srn": "rgb/000002.png", "nmr": "image/0002.png"}[kind]
    assert views.blank.views["chair/chair.some"][0] == f"{part}: no pixel of the object"
    assert sorted(views.blank.left_out) == ["chair/chair.few", "chair/chair.white"]
    assert shard.notes["blank"]["left_out"] == ["chair.few", "chair.white"]
    told = capsys.readouterr().err
    assert "in/" in told and "white: " in told and "the object is left out" in told
    with pytest.raises(UserError, match=r"no object of class chair is left in test; .*so left out: .*chair.white"):
        draw({"set": {"kind": "views", "images": [2, 1, 1]}, "seed": 0})


@pytest.mark.parametrize("kind", ["srn", "nmr"])
def test_kept_views_are_flagged_and_an_error_names_the_first(kind, tmp_path):
    root = tree(tmp_path / "in", kind)
    views, _, _ = manifest(tmp_path / "out", kind, root, views=5, blank_views="keep")
    assert views.splits["test"] == ("chair.white",) and not views.frames(["test"]).mask.any()
    assert len(views.frames(["train", "val"]).view) == 15
    (notice,) = views.notices()
    assert "10 blank views" in notice and "3 objects" in notice and "blank_views: keep" in notice
    with pytest.raises(UserError, match=r"chair.few: .*0.png has no pixel of the object.*blank_views: skip"):
        manifest(tmp_path / "again", kind, root, views=5, blank_views="error")


def test_full_masks_are_blank_too(tmp_path):
    root = tree(tmp_path / "in", "nmr", {"good": ("train", ()), "full": ("train", range(5))}, full=True)
    views, _, _ = manifest(tmp_path / "out", "nmr", root, views=2)
    assert [ids for ids in views.splits.values() if ids] == [("chair.good",)]
    assert views.blank.views["chair/chair.full"][0].endswith("no pixel of the background")


def test_pictures_on_black_are_not_taken_for_objects(tmp_path):
    root = tree(tmp_path / "in", "srn", {"good": ("train", ()), "dark": ("train", ())})
    for path in (root / "chair_train/dark/rgb").iterdir():
        Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(path)
    views, _, _ = manifest(tmp_path / "out", "srn", root, views=2)
    assert views.blank.left_out == ["chair/chair.dark"]


def test_reading_one_object_keeps_what_is_there_and_says_so(tmp_path):
    for kind, read in (("srn", srn.read_instance), ("nmr", nmr.read_instance)):
        root = tree(tmp_path / kind, kind)
        folder = root / ("chair_val" if kind == "srn" else "chair") / "some"
        told = []
        assert len(read(folder, "a", note=told.append)) == VIEWS
        assert sum("2 of 5 views are blank and kept" in words for words in told) == 1
        blank = BlankViews("skip")
        assert [f.view for f in read(folder, "a", note=told.append, blank=blank)] == [0, 1, 2]
        assert sum("skipped" in words for words in told) == 1 and len(blank.views["a"]) == 2 and not blank.left_out
        with pytest.raises(UserError, match=r"5 views, but views: 6 is asked for"):
            read(folder, "a", 6, blank=blank)
