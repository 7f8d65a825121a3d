"""Views as other people's issues describe them, through the stages of the workflow and the checker."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from robust3d.data.compositing import compose
from robust3d.data.manifest import Views
from robust3d.data.published import nmr, srn
from robust3d.data.published.check import check_views
from robust3d.data.published.export import export_views
from robust3d.data.published.identity import take
from robust3d.data.published.inventory import Missing
from robust3d.data.published.params import NMRParams
from robust3d.errors import UserError
from robust3d.families import nmr as nmr_family
from robust3d.families import srn as srn_family
from robust3d.parsing import parse
from robust3d.provenance.runner import Context
from robust3d.stages import index_views, inventory, read_shard

CASES = Path(__file__).parents[3].parent / "shared" / "cases" / "data"
CAR = "02958343"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")


def study(folder, kind, **shapes):
    """Inventory, shards and manifest of a family; (manifest, record of the first shard)."""
    folder.mkdir(exist_ok=True)
    family = {"nmr": nmr_family, "srn": srn_family}[kind]
    params = parse(family.Params, shapes)
    lists = folder / "inventory.json"

    def context(told, inputs, **outputs):
        return Context(told, inputs, {name: folder / file for name, file in outputs.items()}, folder, 1)

    identity = take(family, params).identity
    told = {"kind": kind, "source": params.model_dump(mode="json"), "data_on_disk": identity}
    inventory.run(context(told, {}, inventory=lists.name))
    manifests, notes = [], {}
    for name in params.classes:
        source = params.model_copy(update={"classes": (name,)}).model_dump(mode="json")
        told = {"kind": kind, "source": source, "class_name": name, "block": [0, 1]}
        (folder / name).mkdir()
        outputs = {"views": f"{name}/views.h5", "manifest": f"{name}/manifest.json", "sources": f"{name}/sources"}
        job = context(told, {"inventory": [lists]}, **outputs)
        read_shard.run(job)
        manifests.append(job.outputs["manifest"])
        notes |= job.notes
    told = {"family": "pub", "classes": params.classes, "extent": 1.0, "views": params.views, "seed": 0, "groups": {}}
    told |= {"resolution_px": params.resolution_px, "split": {"mode": "published"}}
    job = context(told, {"shards": manifests, "inventory": [lists]}, manifest="views.json")
    index_views.run(job)
    return Views.read(job.outputs["manifest"]), notes


def told_by_check(folder, objects=24):
    report = check_views(folder, objects)
    return report.ok, report.text()


def test_views_with_gaps_and_unpadded_names_get_their_cameras():
    for case, count in (("views-with-gaps", 6), ("unpadded-names", 12)):
        folder = CASES / case / CAR / "a"
        matrices = np.load(folder / "cameras.npz")
        frames = nmr.read_instance(folder, "a", note=lambda text: None)
        numbers = sorted(int(path.stem) for path in (folder / "image").iterdir())
        assert len(frames) == len(numbers) == count
        for frame, number in zip(frames, numbers, strict=True):
            (file,) = [path for path in (folder / "image").iterdir() if int(path.stem) == number]
            np.testing.assert_array_equal(compose(frame.rgba, 255), np.array(Image.open(file))[..., :3])
            world = matrices[f"world_mat_{number}"] @ matrices[f"scale_mat_{number}"]
            np.testing.assert_allclose(frame.world_to_camera, world, atol=1e-6)
        ok, told = told_by_check(CASES / case)
        assert not ok and "all is well" not in told and ("no view 2" in told or "10.png comes as view 2" in told)


def test_depth_that_is_no_exr_is_told(tmp_path, capsys):
    views, notes = study(
        tmp_path / "s", "nmr", path=str(CASES / "depth-not-exr"), classes=["car"], views=3, resolution_px=16
    )
    assert notes["notes_on_objects"]["count"] == 1 and "holds 3 .png files and no .exr" in capsys.readouterr().err
    frames = views.frames(["train", "val"])
    assert frames.mask.any() and np.isnan(frames.depth[frames.mask]).all()
    ok, told = told_by_check(CASES / "depth-not-exr")
    assert ok and "holds 3 .png files and no .exr" in told and "Its depth is not used" in told


def test_transparent_pictures_are_put_on_white():
    flat = srn.read_instance(CASES / "rgba-transparent/srn/cars_train/a", "a")
    dvr = nmr.read_instance(CASES / f"rgba-transparent/nmr/{CAR}/a", "a")
    for frames, folder in ((flat, "srn/cars_train/a/rgb"), (dvr, f"nmr/{CAR}/a/image")):
        for frame, file in zip(frames, sorted((CASES / "rgba-transparent" / folder).iterdir()), strict=True):
            pixels = np.array(Image.open(file))
            on_white = np.where(pixels[..., 3:] == 255, pixels[..., :3], 255)
            np.testing.assert_array_equal(compose(frame.rgba, 255), on_white)
            np.testing.assert_array_equal(frame.mask, pixels[..., 3] > 0)
            assert frame.mask.mean() < 0.3 and (frame.rgba[~frame.mask, 3] == 0).all()
    for layout in ("nmr", "srn"):
        ok, told = told_by_check(CASES / "rgba-transparent" / layout)
        assert ok and "transparent pixels are put on white" in told


def test_depth_that_is_not_known_is_not_exported(tmp_path, capsys):
    views, _ = study(
        tmp_path / "s", "nmr", path=str(CASES / "check-one-object"), classes=["car"], views=3, resolution_px=16
    )
    told = []
    assert export_views(views, tmp_path / "out", "dvr", note=told.append) == 3
    assert told and "3 of 3 objects have no depth/" in told[0] and told[0] in (tmp_path / "out/README.md").read_text()
    assert not list((tmp_path / "out").rglob("depth")) and len(list((tmp_path / "out").rglob("visual_hull_depth"))) == 3
    assert check_views(tmp_path / "out").ok


def test_the_published_srn_archives_are_read_whole(tmp_path):
    root = CASES / "srn-odd-test-views"
    views, _ = study(tmp_path / "a", "srn", path=str(root), classes=["cars"], views=4, resolution_px=16)
    assert views.splits["test"] == ("cars.testobj",)
    frames = views.frames(["test"])
    poses = [np.loadtxt(root / f"cars_test/testobj/pose/{n:06d}.txt").reshape(4, 4) for n in (0, 1, 3, 4)]
    np.testing.assert_allclose(frames.world_to_camera, np.linalg.inv(poses), atol=1e-6)  # 0, 1.25, 2.5, 3.75 rounded
    assert list(frames.view) == [0, 1, 2, 3] and len(views.frames(["train", "val"]).view) == 4
    root = CASES / "srn-chairs-2.0-train"
    for missing in ("error", "skip"):
        told = dict(path=str(root), classes=["chairs"], views=2, resolution_px=16, missing=missing)
        views, _ = study(tmp_path / missing, "srn", **told)
        assert {key: ids for key, ids in views.splits.items() if ids} == {
            "val": ("chairs.aaa",),
            "test": ("chairs.ccc",),
        }
        assert views.frames(["val"]).rgba.shape[0] == 2
    assert check_views(root).objects == 2


def test_the_axes_of_pytorch3d_are_an_error_with_their_remedy(tmp_path):
    ok, told = told_by_check(CASES / "pytorch3d-axes")
    assert not ok and "PyTorch3D (x left, y up)" in told and "diag(-1, -1, 1, 1) from the left" in told
    root = shutil.copytree(CASES / "pytorch3d-axes", tmp_path / "mended")
    file = root / CAR / "a" / "cameras.npz"
    mended = {key: np.diag([-1.0, -1, 1, 1]) @ m if "world" in key else m for key, m in np.load(file).items()}
    np.savez(file, **mended)
    assert told_by_check(root)[0]


def test_one_object_raises_no_alarm_from_lists():
    for folder in (
        CASES / "check-one-object",
        CASES / "check-one-object" / CAR,
        CASES / "check-one-object" / CAR / "a",
    ):
        report = check_views(folder)
        assert report.ok and not report.findings, report.text()
    for objects in (0, -3):
        with pytest.raises(UserError, match=f"--objects {objects}"):
            check_views(CASES / "check-one-object", objects)


def test_jpg_images_are_named():
    with pytest.raises(UserError, match=r"image: holds 3 .jpg files and no .png; PNG is needed"):
        nmr.read_instance(CASES / "jpg-images" / CAR / "a", "a")
    ok, told = told_by_check(CASES / "jpg-images")
    assert not ok and "holds 3 .jpg files" in told


@pytest.mark.parametrize("missing", ["error", "skip"])
def test_lists_with_a_mark(missing, tmp_path):
    params = NMRParams(path=str(CASES / "list-bom"), classes=("car",), missing=missing)
    found = nmr.take_inventory(params.path, params)
    assert sorted(found.classes["car"]) == ["a", "b"] and not found.missing
    assert told_by_check(CASES / "list-bom")[0]


def test_a_wrong_resolution_names_picture_and_key(tmp_path):
    told = yaml.safe_load((CASES / "configs" / "resolution.yaml").read_text())["families"]["pub"]["shapes"]
    told["path"] = str(CASES / told["path"])
    with pytest.raises(UserError, match=r"0000.png: 16 px a side, but .*resolution_px: 64; set resolution_px: 16"):
        study(tmp_path / "s", "nmr", **told)
    with pytest.raises(UserError, match=r"000000.png: 16 px a side, but .*set resolution_px: 16"):
        study(
            tmp_path / "t", "srn", path=str(CASES / "srn-odd-test-views"), classes=["cars"], views=4, resolution_px=32
        )
    assert not list(tmp_path.rglob("views.h5"))


def test_incomplete_objects_are_told_from_missing_ones(tmp_path):
    root = shutil.copytree(CASES / "check-one-object", tmp_path / "root")
    (root / CAR / "a" / "cameras.npz").unlink()
    shutil.rmtree(root / CAR / "b")
    params = NMRParams(path=str(root), classes=("car",))
    with pytest.raises(
        Missing, match=r"1 of 3 .* not there: car/b; 1 of 3 objects have a folder without cameras.npz: car/a"
    ):
        nmr.take_inventory(root, params)
    with pytest.raises(Missing, match=r"1 of 2 objects have a folder without cameras.npz: car/a"):
        nmr.take_inventory(root, params.model_copy(update={"split": "random"}))
    _, told = told_by_check(root)
    assert "names 1 objects that are not there, such as b" in told
    assert "without cameras.npz in their folders, such as a" in told
    shutil.rmtree(root / CAR / "c" / "mask")
    with pytest.raises(UserError, match="c/mask: no such folder"):
        nmr.read_instance(root / CAR / "c", "c")
    assert (
        json.dumps(nmr.take_inventory(root, params.model_copy(update={"missing": "skip"})).missing)
        == '{"car": ["a", "b"]}'
    )
