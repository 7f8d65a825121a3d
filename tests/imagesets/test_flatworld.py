"""FlatWorldDB: motions in the plane against known pictures, one pose and one light for all classes (bar W1)."""

import numpy as np
import pytest

from robust3d import cameras
from robust3d.cameras import CameraParams
from robust3d.data.flat import Motion, drawn_motion, moved
from robust3d.data.frame import Frame
from robust3d.data.manifest import Shard, Views
from robust3d.data.params import FlatSetParams
from robust3d.data.shards import write_classes
from robust3d.errors import UserError
from robust3d.imagesets import flatworld
from robust3d.rendering.params import LightParams, RenderParams, light_of

STILL = Motion(False, False, 1.0, 0.0, (0.0, 0.0))
PX = 16


def arrow() -> np.ndarray:
    """A picture without any symmetry."""
    rgba = np.zeros((PX, PX, 4), np.uint8)
    rgba[6:10, 6:10] = 255
    rgba[6:8, 10:12] = (200, 0, 0, 255)
    rgba[4, 6] = (0, 200, 0, 255)
    return rgba


def test_motions_are_what_they_are_called():
    rgba = arrow()
    assert np.array_equal(moved(rgba, STILL), rgba)
    assert np.array_equal(moved(rgba, STILL._replace(flip_x=True)), rgba[:, ::-1])
    assert np.array_equal(moved(rgba, STILL._replace(flip_y=True)), rgba[::-1])
    assert np.abs(moved(rgba, STILL._replace(turn_deg=90)).astype(int) - np.rot90(rgba)).max() <= 1
    assert np.array_equal(moved(rgba, STILL._replace(shift=(2 / PX, 1 / PX))), np.roll(rgba, (1, 2), (0, 1)))
    half = moved(rgba, STILL._replace(scale=0.5))
    assert half[..., 3].sum() / rgba[..., 3].sum() == pytest.approx(0.25, abs=0.05)


def test_motions_are_drawn_within_their_bounds_and_from_the_seed_alone():
    params = FlatSetParams(shift=0.2, scale=(0.5, 0.9), rotation_deg=30)
    drawn = [drawn_motion(params, key) for key in range(400)]
    assert drawn[7] == drawn_motion(params, 7)
    turns, scales = np.array([m.turn_deg for m in drawn]), np.array([m.scale for m in drawn])
    assert 25 < np.abs(turns).max() <= 30 and 0.5 <= scales.min() < 0.55 and 0.85 < scales.max() <= 0.9
    assert 0.18 < np.abs([m.shift for m in drawn]).max() <= 0.2
    assert 0.4 < np.mean([m.flip_x for m in drawn]) < 0.6 and 0.4 < np.mean([m.flip_y for m in drawn]) < 0.6
    assert not any(drawn_motion(params.model_copy(update={"flips": False}), key)[:2].count(True) for key in range(50))


@pytest.fixture
def files(tmp_path):
    """Views of two classes in one shard."""
    names = ("p0000", "p0001")
    mask = arrow()[..., 3] > 0
    depth = np.where(mask, 2, np.inf).astype(np.float32)

    def frames(tone):
        rgba = arrow() // tone * [1, 1, 1, 0] + arrow() * [0, 0, 0, 1]
        for instance in ("0000", "0001", "0002"):
            yield Frame(instance, 0, rgba.astype(np.uint8), mask, depth, np.eye(4), np.eye(3))

    held = {name: frames(tone) for tone, name in enumerate(names, 1)}
    entry = write_classes(tmp_path / "views.h5", held, resolution_px=PX, extent=1.0)
    instances = {name: tuple(ids) for name, ids in entry["classes"].items()}
    shard = Shard(str(tmp_path / "views.h5"), instances, entry["sha256"], entry["bytes"])
    splits = {"train": ("0000",), "val": ("0001",), "test": ("0002",)}
    Views("flat", names, 1, PX, 1.0, splits, (shard,)).write(tmp_path / "manifest.json")
    return {"views": [tmp_path / "manifest.json"], "textures": []}


def test_a_view_gives_as_many_pictures_as_asked_which_differ_by_their_motions(files):
    params = FlatSetParams(copies=20, images=(40, 2, 2)).model_dump(mode="json")
    table, notices = flatworld.draw(params, files, 0)
    assert not notices and (table["split"] == "train").sum() == 40
    data = flatworld.open_images(params, files, table, np.arange(40))
    images = data.read(np.arange(40)).numpy()
    assert len(set(data.ids)) == 40 and len({image.tobytes() for image in images}) == 40
    again = flatworld.open_images(params, files, table, np.array([5])).read(np.array([0])).numpy()
    assert np.array_equal(again[0], images[5])
    bright = images.max((1, 2, 3))
    assert set(bright[data.labels.numpy() == 0]) == {255} and set(bright[data.labels.numpy() == 1]) == {127}
    with pytest.raises(UserError, match="mask of pictures"):
        data.read_masks(np.arange(2))
    with pytest.raises(UserError, match=r"42 images asked"):
        flatworld.draw(params | {"images": (42, 2, 2)}, files, 0)


def information(labels: list[int], values: list[str]) -> float:
    """Mutual information in bits, from counts."""
    _, a = np.unique(labels, return_inverse=True)
    _, b = np.unique(values, return_inverse=True)
    joint = np.histogram2d(a, b, bins=(a.max() + 1, b.max() + 1))[0] / len(a)
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log2(joint[there] / alone[there])).sum())


@pytest.mark.parametrize(("fixed_pose", "fixed_light"), [(True, True), (True, False), (False, True), (False, False)])
def test_pose_and_light_tell_nothing_of_the_class_where_they_are_fixed(fixed_pose, fixed_light):
    """One a class would tell all: log2(8) bits."""
    camera = CameraParams(views=4, **({"protocol": "fixed"} if fixed_pose else {"poses": "per_object"}))
    render = RenderParams(light=None if fixed_light else LightParams())
    labels, poses, lights = [], [], []
    for label in range(8):
        for view, pose in enumerate(cameras.poses(camera, 0, "0000", f"p{label:04d}")):
            light = render.light and light_of(render.light, 0, f"p{label:04d}", "0000", view, pose)
            labels.append(label)
            poses.append(pose.tobytes().hex())
            lights.append(repr(light or render.suns))
    assert information(labels, poses) == pytest.approx(0 if fixed_pose else 3)
    assert information(labels, lights) == pytest.approx(0 if fixed_light else 3)
    assert len(set(poses)) == (1 if fixed_pose else 32) and len(set(lights)) == (1 if fixed_light else 32)


def test_bad_keys_are_named():
    with pytest.raises(ValueError, match="scale"):
        FlatSetParams(scale=(1.0, 0.5))
    with pytest.raises(ValueError, match="change"):
        FlatSetParams(change={"size": 0.5})
    with pytest.raises(ValueError, match="fixed place is the same for every object"):
        CameraParams(protocol="fixed", poses="per_object")
