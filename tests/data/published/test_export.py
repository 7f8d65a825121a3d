"""Exported views, read by loaders written from the formats' descriptions alone, fit the meshes they show."""

import json
from dataclasses import replace

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from robust3d.data.manifest import Shard
from robust3d.data.published import nmr, srn
from robust3d.data.published.export import export_views, visual_hull_depth
from robust3d.data.published.params import NMRParams, SRNParams
from robust3d.data.shards import write_shard
from robust3d.errors import UserError

EXTENT = 1.5


def rasterise(points, depths, faces, side):
    """(S, S) bool: pixels whose centre lies in a projected triangle; points (V, 2) in pixels."""
    assert (depths > 0).all()
    hit = np.zeros((side, side), bool)
    for a, b, c in points[faces]:
        low = np.clip(np.floor(np.min([a, b, c], axis=0) - 0.5).astype(int), 0, side)
        high = np.clip(np.ceil(np.max([a, b, c], axis=0) + 0.5).astype(int), 0, side)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        sides = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
        inside = np.all([s >= 0 for s in sides], axis=0) | np.all([s <= 0 for s in sides], axis=0)
        hit[low[1] : high[1], low[0] : high[0]] |= inside
    return hit


def scale_of(root, name):
    """As recorded in the export."""
    return next(
        one["scale"] for one in json.loads((root / "scale.json").read_text())["scales"] if name in one["classes"]
    )


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def dvr_views(folder):
    """Per view: picture, mask, depth, hull depth, and the matrix from world points to [-1, 1] and camera z."""
    arrays = np.load(folder / "cameras.npz")
    for i, image in enumerate(sorted((folder / "image").iterdir())):
        mask = np.array(Image.open(folder / "mask" / image.name))
        exr = {
            name: OpenEXR.File(str(folder / name / f"{image.stem}.exr"), separate_channels=True).channels()["R"].pixels
            for name in ("depth", "visual_hull_depth")
        }
        world_to_image = arrays[f"camera_mat_{i}"] @ arrays[f"world_mat_{i}"] @ arrays[f"scale_mat_{i}"]
        for name in ("camera", "world", "scale"):
            product = arrays[f"{name}_mat_{i}"] @ arrays[f"{name}_mat_inv_{i}"]
            np.testing.assert_allclose(product, np.eye(4), atol=1e-9)
        np.testing.assert_array_equal(arrays[f"scale_mat_{i}"], np.eye(4))  # pixelNeRF does not look at it
        yield np.array(Image.open(image)), mask, exr["depth"], exr["visual_hull_depth"], world_to_image


def test_the_dvr_tree_projects_meshes_onto_masks(exported, meshes):
    worst, counts = 1.0, np.zeros(3, int)  # pixels of masks, those with a hull, and those with a hull in front
    for (name, key), mesh in meshes.items():
        unit = np.column_stack([mesh.vertices / EXTENT, np.ones(len(mesh.vertices))])
        for picture, mask, depth, hull, world_to_image in dvr_views(exported["dvr"] / name / key):
            side = len(mask)
            camera = unit @ world_to_image.T
            points = (camera[:, :2] / camera[:, 2:3] + 1) / 2 * side  # (-1, -1): top left corner of the picture
            drawn = rasterise(points, camera[:, 2], mesh.faces, side)
            assert set(np.unique(mask)) <= {0, 255} and picture.shape == (side, side, 3)
            worst = min(worst, iou(drawn, mask > 0))
            assert (picture[mask == 0] == 255).all()
            assert (np.isfinite(depth) == (mask > 0)).all()
            low, high = camera[:, 2].min(), camera[:, 2].max()
            assert low - 1e-4 <= depth[mask > 0].min() and depth[mask > 0].max() <= high + 1e-4
            both = (mask > 0) & np.isfinite(hull)
            assert not np.isfinite(hull[mask == 0]).any()
            # The hull holds the object, so its front is nearer: to within the distance of two samples on a ray.
            counts += ((mask > 0).sum(), both.sum(), (hull[both] <= depth[both] + 1.8 / 128).sum())
    assert counts[1] > 0.97 * counts[0] and counts[2] > 0.97 * counts[1], counts
    assert worst >= 0.99, worst


def test_the_srn_tree_projects_meshes_onto_pictures(exported, meshes):
    worst = 1.0
    parts = {"0000": "train", "0001": "val", "0002": "test"}
    for (name, key), mesh in meshes.items():
        folder = exported["srn"] / f"{name}_{parts[key]}" / key
        lines = (folder / "intrinsics.txt").read_text().splitlines()
        focal, cx, cy = (float(word) for word in lines[0].split()[:3])
        assert lines[-1].split() == ["48", "48"]
        for image in sorted((folder / "rgb").iterdir()):
            picture = np.array(Image.open(image))
            to_world = np.array((folder / "pose" / f"{image.stem}.txt").read_text().split(), float).reshape(4, 4)
            unit = scale_of(exported["srn"], name) * mesh.vertices / EXTENT
            camera = (unit - to_world[:3, 3]) @ to_world[:3, :3]
            points = focal * camera[:, :2] / camera[:, 2:] + [cx, cy]
            worst = min(worst, iou(rasterise(points, camera[:, 2], mesh.faces, 48), (picture != 255).any(-1)))
    assert worst >= 0.99, worst


def test_lists_and_metadata(exported):
    root = exported["dvr"]
    assert list(json.loads((root / "metadata.yaml").read_text())) == ["airplane", "chair"]
    for part, key in (("train", "0000"), ("val", "0001"), ("test", "0002")):
        assert (root / "chair" / f"softras_{part}.lst").read_text() == key


def same(frame, mine, depth_known=True, scale=1.0):
    np.testing.assert_array_equal(frame.mask, mine.mask)
    np.testing.assert_array_equal(frame.rgba, mine.rgba)
    pose = mine.world_to_camera.copy()
    pose[:3, 3] *= scale / EXTENT
    np.testing.assert_allclose(frame.world_to_camera, pose, atol=1e-12)
    np.testing.assert_allclose(frame.intrinsics, mine.intrinsics, atol=1e-9)
    if depth_known:
        np.testing.assert_allclose(frame.depth, mine.depth / EXTENT, rtol=1e-6)
    else:
        assert (np.isnan(frame.depth) == mine.mask).all() and np.isposinf(frame.depth[~mine.mask]).all()


def test_our_readers_give_back_what_was_exported(exported, family):
    _, frames = family
    dvr = nmr.take_inventory(exported["dvr"], NMRParams(path="x", classes=("airplane", "chair"), views=8))
    of_srn = srn.take_inventory(exported["srn"], SRNParams(path="x", classes=("airplane", "chair")))
    assert dvr.objects == of_srn.objects == 6
    assert dvr.splits == of_srn.splits and dvr.splits["chair"]["val"] == ("0001",)
    assert {scale_of(exported["dvr"], name) for name in ("airplane", "chair")} == {1.0}  # fits: nothing is changed
    for (name, key), mine in frames.items():
        theirs = nmr.read_instance(exported["dvr"] / dvr.classes[name][key].path, key)
        flat = srn.read_instance(exported["srn"] / of_srn.classes[name][key].path, key)
        assert len(theirs) == len(flat) == 8
        for i, frame in enumerate(mine):
            same(theirs[i], frame)
            same(flat[i], frame, depth_known=False, scale=scale_of(exported["srn"], name))
            assert (theirs[i].instance, theirs[i].view) == (key, i)


def test_a_folder_appears_whole_or_not_at_all(family, tmp_path, monkeypatch):
    views, _ = family
    busy = tmp_path / "busy"
    busy.mkdir()
    (busy / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not an empty folder"):
        export_views(views, busy, "srn")
    assert [path.name for path in tmp_path.rglob("*")] == ["busy", "mine.txt"]
    with monkeypatch.context() as patch:
        from robust3d.data.published import export

        calls = []
        patch.setattr(export, "_write_srn", lambda *a: calls.append(a) if len(calls) < 2 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_views(views, tmp_path / "new", "srn")
    assert [path.name for path in tmp_path.iterdir()] == ["busy"]


def test_only_some_parts(family, tmp_path):
    views, _ = family
    assert export_views(views, tmp_path / "val", "dvr", splits=["val"], visual_hull=False) == 2
    assert (tmp_path / "val" / "chair" / "softras_train.lst").read_text() == ""
    assert not (tmp_path / "val" / "chair" / "0001" / "visual_hull_depth").exists()
    with pytest.raises(UserError, match="'none' is not a part"):
        export_views(views, tmp_path / "other", "dvr", splits=["none"])


def test_depth_is_written_only_where_it_is_known(family, tmp_path):
    views, frames = family
    shards = []
    for name in views.classes:
        mine = [frame for (owner, _), of in frames.items() if owner == name for frame in of]
        for at, frame in enumerate(mine):
            depth = frame.depth.copy()
            if (name == "chair" and frame.instance != "0002") or frame.view == 3:  # of two chairs nothing is known
                depth[frame.mask] = np.nan
            mine[at] = replace(frame, depth=depth)
        entry = write_shard(tmp_path / f"{name}.h5", iter(mine), class_name=name, resolution_px=48, extent=EXTENT)
        shards.append(
            Shard(str(tmp_path / f"{name}.h5"), {name: tuple(entry["instances"])}, entry["sha256"], entry["bytes"])
        )
    told = []
    partly = replace(views, shards=tuple(shards))
    assert export_views(partly, tmp_path / "out", "dvr", visual_hull=False, note=told.append) == 6
    assert told == ["2 of 6 objects have no depth/, because it is unknown: chair/0000, chair/0001"]
    assert told[0] in (tmp_path / "out" / "README.md").read_text()
    assert sorted(path.parent.name for path in (tmp_path / "out" / "chair").rglob("depth")) == ["0002"]
    for path in (tmp_path / "out").rglob("*.exr"):
        assert not np.isnan(OpenEXR.File(str(path), separate_channels=True).channels()["R"].pixels).any()
    (back,) = [frame for frame in nmr.read_instance(tmp_path / "out/chair/0002", "a") if frame.view == 3]
    assert np.isnan(back.depth[back.mask]).all() and back.mask.any()
    export_views(views, tmp_path / "known", "dvr", visual_hull=False, note=told.append)
    assert len(told) == 1 and "have no depth/" not in (tmp_path / "known" / "README.md").read_text()


def test_the_visual_hull_of_a_full_picture_is_the_cube(family):
    frame = family[1]["chair", "0000"][0]
    pose = np.eye(4)
    pose[2, 3] = 2.0
    everything = np.ones((16, 16), bool)
    optics = np.array([[30.0, 0, 8], [0, 30, 8], [0, 0, 1]])
    full = type(frame)("a", 0, np.zeros((16, 16, 4), np.uint8), everything, np.zeros((16, 16)), pose, optics)
    (depth,) = visual_hull_depth([full])
    assert depth[8, 8] == pytest.approx(1.5, abs=0.01)
