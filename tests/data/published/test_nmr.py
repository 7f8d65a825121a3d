"""A small tree in the published NMR layout, written here by hand from its description, is read as it is meant."""

import json
import os
import time

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from robust3d.cameras import project
from robust3d.data.compositing import compose
from robust3d.data.published import nmr
from robust3d.data.published.inventory import Inventory, Missing
from robust3d.data.published.params import SYNSETS, NMRParams
from robust3d.errors import UserError

FOCAL = 2 + np.sqrt(3)  # of the NMR renders, in image coordinates from -1 to 1
CHAIR, CAR = SYNSETS["chair"], SYNSETS["car"]


def ring(view, views=24):
    """World-to-camera 3x4 of the NMR ring: 15 degrees apart, 30 degrees up, 2.732 away, y down, z forward."""
    a, e = 2 * np.pi * view / views, np.pi / 6
    eye = 2.732 * np.array([np.cos(e) * np.cos(a), np.sin(e), np.cos(e) * np.sin(a)])
    z = -eye / np.linalg.norm(eye)
    x = np.cross(z, [0, 1, 0])
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    return np.column_stack([rotation, -rotation @ eye])


def write_object(folder, views=24, side=32, scale=None, seed=0):
    rng = np.random.default_rng(seed)
    cameras = {}
    for name in ("image", "mask", "visual_hull_depth"):
        (folder / name).mkdir(parents=True)
    for i in range(views):
        picture = np.full((side, side, 3), 255, np.uint8)
        picture[8:20, 10:25] = rng.integers(0, 256, (12, 15, 3))
        picture[12, 12] = 255  # an object may have white pixels too
        picture[7, 10:25] = 250  # and a soft rim outside its mask
        mask = np.zeros((side, side), np.uint8)
        mask[8:20, 10:25] = 255
        Image.fromarray(picture).save(folder / "image" / f"{i:04d}.png")
        Image.fromarray(mask).save(folder / "mask" / f"{i:04d}.png")
        depth = np.where(mask > 0, np.float32(2.5 + i / 100), np.float32(np.inf))
        depth[9, 11] = np.nan
        with OpenEXR.File({}, {"R": depth.astype(np.float32)}) as file:
            file.write(str(folder / "visual_hull_depth" / f"{i:04d}.exr"))
        cameras[f"world_mat_{i}"] = ring(i, views).astype(np.float32)  # 3x4, as some published ones are
        cameras[f"camera_mat_{i}"] = np.diag([FOCAL, FOCAL, 1, 1]).astype(np.float32)
        if scale is not None:
            cameras[f"scale_mat_{i}"] = scale
    np.savez(folder / "cameras.npz", **cameras)


@pytest.fixture
def tree(tmp_path):
    for synset, objects in ((CHAIR, "abcdef"), (CAR, "uvwxyz")):
        for k, name in enumerate(objects):
            write_object(tmp_path / synset / name, views=4, seed=k)
        for part, ids in (("train", objects[:3]), ("val", objects[3]), ("test", objects[4:])):
            (tmp_path / synset / f"softras_{part}.lst").write_text("\n\n".join(reversed(ids)))
            (tmp_path / synset / f"{part}.lst").write_text("\n".join(reversed(ids)) + "\n")
    return tmp_path


def params(**more):
    return NMRParams(path="x", classes=more.pop("classes", ("car", "chair")), **more)


@pytest.mark.parametrize("split", ["softras", "choy"])
def test_the_inventory_keeps_the_published_division(tree, split):
    inventory = nmr.take_inventory(tree, params(split=split))
    assert list(inventory.classes) == ["car", "chair"] and inventory.objects == 12
    assert inventory.splits["chair"] == {"train": ("a", "b", "c"), "val": ("d",), "test": ("e", "f")}
    entry = inventory.classes["car"]["u"]
    assert entry.path == f"{CAR}/u" and entry.bytes == (tree / CAR / "u" / "cameras.npz").stat().st_size
    text = inventory.to_json()
    assert Inventory.from_json(text) == inventory and Inventory.from_json(text).to_json() == text
    assert json.loads(text)["totals"]["objects"] == 12


def test_a_smaller_study_takes_the_first_of_each_part(tree):
    few = nmr.take_inventory(tree, params(instances=1))
    assert few.splits["chair"] == {"train": ("a",), "val": ("d",), "test": ("e",)}
    every = nmr.take_inventory(tree, params(split="random", instances=2))
    assert list(every.classes["chair"]) == ["a", "b"] and not every.splits


def test_what_is_missing_is_named_with_where_to_get_it(tree):
    with pytest.raises(Missing, match=r"no folder .*NMR_Dataset.zip, 34 GB.*shapenet.org.*resources/nmr"):
        nmr.take_inventory(tree / "none", params())
    with pytest.raises(Missing, match="no folder 02691156 or airplane for class 'airplane'"):
        nmr.take_inventory(tree, params(classes=("airplane",)))
    for name in "bcdef":
        (tree / CHAIR / name / "cameras.npz").unlink()
    (tree / CAR / "u" / "cameras.npz").unlink()
    with pytest.raises(Missing, match=r"6 of 12 objects .* car/u, chair/b, chair/c, chair/d, chair/e, …"):
        nmr.take_inventory(tree, params())
    rest = nmr.take_inventory(tree, params(missing="skip"))
    assert rest.missing == {"car": ("u",), "chair": ("b", "c", "d", "e", "f")}
    assert rest.splits["chair"] == {"train": ("a",), "val": (), "test": ()}
    (tree / CAR / "softras_val.lst").unlink()
    with pytest.raises(Missing, match=r"softras_val.lst: no such list"):
        nmr.take_inventory(tree, params())


def test_a_division_that_overlaps_is_refused(tree):
    (tree / CAR / "softras_test.lst").write_text("u\n")
    with pytest.raises(UserError, match="put u into both train and test"):
        nmr.take_inventory(tree, params())


def test_a_class_is_one_folder_and_one_name(tree):
    with pytest.raises(ValueError, match="a class is named twice"):
        params(classes=("chair", CHAIR))
    (tree / "chair").symlink_to(CHAIR)
    assert nmr.class_folder(tree, "chair") == tree / CHAIR
    (tree / "car").mkdir()
    with pytest.raises(UserError, match=rf"{tree}/car and {tree}/{CAR}: which of them is it"):
        nmr.class_folder(tree, "car")


def test_names_that_cannot_be_written_down_are_refused(tree):
    for name in (b"caf\xe9", b"a\nb"):
        folder = tree / CHAIR / os.fsdecode(name)
        (tree / CHAIR / "a").rename(folder)
        with pytest.raises(UserError, match=r"an object of chair is named '.*'; rename it"):
            nmr.take_inventory(tree, params(split="random"))
        folder.rename(tree / CHAIR / "a")


def test_frames_are_what_the_files_say(tree):
    folder = tree / CHAIR / "a"
    frames = nmr.read_instance(folder, "a")
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    for i, frame in enumerate(frames):
        picture = np.array(Image.open(folder / "image" / f"{i:04d}.png"))
        np.testing.assert_array_equal(compose(frame.rgba, 255), picture)
        assert frame.rgba[12, 12, 3] == 255 and frame.rgba[7, 12, 3] == 255 and frame.rgba[0, 0, 3] == 0
        assert frame.mask.sum() == 12 * 15 and not frame.mask[7].any()
        assert np.isnan(frame.depth[9, 11]) and np.isposinf(frame.depth[0, 0])
        assert frame.depth[10, 12] == np.float32(2.5 + i / 100)
        # Image coordinates run from -1 (left edge of the first pixel) to 1 (right edge of the last).
        camera = points @ ring(i, 4)[:, :3].T + ring(i, 4)[:, 3]
        expected = (FOCAL * camera[:, :2] / camera[:, 2:] + 1) / 2 * 32
        image, depth = project(points, frame.world_to_camera, frame.intrinsics)
        np.testing.assert_allclose(image, expected, atol=1e-4)
        np.testing.assert_allclose(depth, camera[:, 2], atol=1e-6)


def test_the_focal_length_of_the_nmr_renders(tmp_path):
    write_object(tmp_path / "a", views=1, side=64)
    (frame,) = nmr.read_instance(tmp_path / "a", "a")
    assert frame.intrinsics[0, 0] == pytest.approx(119.4256, abs=1e-3)  # SDF-SRN's figure for 64 px
    assert frame.intrinsics[0, 2] == frame.intrinsics[1, 2] == 32


def test_fewer_views_are_evenly_spaced(tree):
    frames = nmr.read_instance(tree / CHAIR / "a", "a", views=2)
    np.testing.assert_allclose(frames[1].world_to_camera[:3], ring(2, 4), atol=1e-6)
    assert [frame.view for frame in frames] == [0, 1]
    some = nmr.read_instance(tree / CHAIR / "a", "a", views=3)  # 0, 4/3, 8/3 rounded
    for frame, view in zip(some, (0, 1, 3), strict=True):
        np.testing.assert_allclose(frame.world_to_camera[:3], ring(view, 4), atol=1e-6)
    with pytest.raises(UserError, match="4 views, but views: 5 is asked for"):
        nmr.read_instance(tree / CHAIR / "a", "a", views=5)


def test_a_scale_and_shift_of_the_world_is_put_into_the_pose(tmp_path):
    scale = np.array([[0.5, 0, 0, 0.1], [0, 0.5, 0, -0.05], [0, 0, 0.5, 0.02], [0, 0, 0, 1]])
    write_object(tmp_path / "a", views=2, scale=scale)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    for i, frame in enumerate(nmr.read_instance(tmp_path / "a", "a")):
        world = points @ scale[:3, :3].T + scale[:3, 3]
        camera = world @ ring(i, 2)[:, :3].T + ring(i, 2)[:, 3]
        image, depth = project(points, frame.world_to_camera, frame.intrinsics)
        np.testing.assert_allclose(image, (FOCAL * camera[:, :2] / camera[:, 2:] + 1) * 16, atol=1e-4)
        np.testing.assert_allclose(depth, camera[:, 2] / 0.5, atol=1e-5)
        assert frame.depth[10, 12] == pytest.approx((2.5 + i / 100) / 0.5)
        rotation = frame.world_to_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    write_object(tmp_path / "b", views=1, scale=np.diag([1.0, 2.0, 1.0, 1.0]))
    with pytest.raises(UserError, match="scale_mat_0 does more than scale"):
        nmr.read_instance(tmp_path / "b", "b")


def spoil(folder, **changes):
    arrays = dict(np.load(folder / "cameras.npz"))
    arrays.update(changes)
    np.savez(folder / "cameras.npz", **{key: value for key, value in arrays.items() if value is not None})


@pytest.mark.parametrize(
    "changes, told",
    [
        (dict(world_mat_2=np.full((4, 4), np.nan)), "world_mat_2 holds NaN"),
        (dict(world_mat_2=np.diag([1.0, 1, -1, 1])), "world_mat_2 is not a rotation.*mirrors"),
        (dict(world_mat_2=np.diag([2.0, 1, 1, 1])), "world_mat_2 is not a rotation"),
        (dict(world_mat_1=None), "no world_mat_1"),
        (dict(world_mat_3=None), "3 cameras for 4 images"),
        (dict(camera_mat_1=None), "no camera_mat_1"),
        (dict(camera_mat_1=np.eye(3)), "camera_mat_1 is float64"),
        (dict(camera_mat_1=np.diag([1.0, 1, -1, 1])), "camera_mat_1 is not"),
        (
            dict(camera_mat_1=[[60.0, 0, 16, 0], [0, 60, 16, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
            "camera_mat_1: .*no pixels",
        ),
        (dict(world_mat_2=ring(2, 4).astype(np.float16)), "world_mat_2 is float16, too coarse"),
    ],
)
def test_wrong_cameras_are_named(tree, changes, told):
    spoil(tree / CHAIR / "a", **changes)
    with pytest.raises(UserError, match=told):
        nmr.read_instance(tree / CHAIR / "a", "a")


def test_pictures_that_do_not_go_together_are_named(tree):
    a, b, c, d = (tree / CHAIR / name for name in "abcd")
    Image.new("RGB", (32, 30)).save(a / "image" / "0001.png")
    with pytest.raises(UserError, match=r"0001.png: 32x30 px; pictures have to be square"):
        nmr.read_instance(a, "a")
    Image.new("RGB", (64, 64)).save(b / "image" / "0001.png")
    with pytest.raises(UserError, match=r"0001.png: 64 px a side, but the object's other pictures have 32"):
        nmr.read_instance(b, "b")
    Image.new("L", (16, 16)).save(c / "mask" / "0001.png")
    with pytest.raises(UserError, match=r"mask/0001.png: 16 px"):
        nmr.read_instance(c, "c")
    (d / "mask" / "0003.png").unlink()
    with pytest.raises(UserError, match="4 files in image/ but 3 in mask/"):
        nmr.read_instance(d, "d")


def test_listing_is_fast(tmp_path):
    ids = [f"{k:032x}" for k in range(2000)]
    for name in ids:
        (tmp_path / CHAIR / name).mkdir(parents=True)
        (tmp_path / CHAIR / name / "cameras.npz").write_bytes(b"x")
    for part, some in (("train", ids[:1400]), ("val", ids[1400:1600]), ("test", ids[1600:])):
        (tmp_path / CHAIR / f"softras_{part}.lst").write_text("\n".join(some))
    started = time.process_time()
    assert nmr.take_inventory(tmp_path, params(classes=("chair",))).objects == 2000
    assert time.process_time() - started < 0.5  # the whole set has 22 times as many
