"""Focal lengths, scales and depths that are wrong by a factor are named; what masks cannot tell is said so."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from robust3d import cameras
from robust3d.data.published.agreement import Object
from robust3d.data.published.check import _check_fit, check_views
from robust3d.data.published.depths import Change, contradictions
from robust3d.data.published.export import write_exr
from robust3d.data.published.files import read_exr_depth
from robust3d.data.published.findings import Report
from robust3d.data.published.tangents import focal_from_masks, miss_px, zoomed
from robust3d.shapes import categories, geons

SIDE = 48
CAMERA = cameras.CameraParams(views=8, protocol="nmr", fov_deg=32.0)


def balls(centres, radius, camera=CAMERA):
    """An object of balls: a pixel shows it where its ray passes a centre nearer than the radius (closed form)."""
    poses, optics = cameras.poses(camera, 3), cameras.intrinsics(camera, SIDE)
    masks, depths = [], []
    for pose in poses:
        origin, rays = cameras.rays(pose, optics, SIDE, SIDE)
        depth = np.full((SIDE, SIDE), np.inf)
        squares = (rays**2).sum(axis=-1)
        for centre in np.asarray(centres, float):
            along = (rays @ (centre - origin)) / squares
            beside = ((origin + along[..., None] * rays - centre) ** 2).sum(axis=-1)
            with np.errstate(invalid="ignore"):
                depth = np.fmin(depth, along - np.sqrt(radius**2 - beside) / np.sqrt(squares))
        masks.append(np.isfinite(depth))
        depths.append(depth)
    optics = np.repeat(optics[None], len(poses), axis=0)
    return Object("balls", np.array(masks), poses, optics, optics, np.arange(len(poses)), np.array(depths))


def of_frames(frames, extent):
    poses = np.stack([frame.world_to_camera for frame in frames])
    poses[:, :3, 3] /= extent
    optics, order = np.stack([frame.intrinsics for frame in frames]), np.arange(len(frames))
    depth = np.stack([frame.depth for frame in frames]) / extent
    files = tuple(f"{view:04d}.png" for view in order)
    return Object(frames[0].instance, np.stack([f.mask for f in frames]), poses, optics, optics, order, depth, files)


@pytest.fixture(scope="module")
def things(family):
    return [of_frames(frames, family[0].extent) for frames in family[1].values()]


BONES = [
    [(-0.35, 0, 0.1), (0.35, 0.1, 0)],
    [(0, -0.3, -0.2), (0.1, 0.35, 0.2)],
    [(0.3, 0.3, -0.3), (-0.3, -0.2, 0.3)],
    [(0.3, -0.3, 0), (-0.1, 0.3, -0.3)],
]


@pytest.mark.parametrize("factor", [0.5, 2.0, 8.0])
def test_masks_of_two_balls_tell_the_focal_length(factor):
    bones = [balls(centres, 0.12) for centres in BONES]
    good = focal_from_masks(bones)
    assert good.factor == 1 and good.is_known
    focal = focal_from_masks([zoomed(bone, factor) for bone in bones])
    assert focal.factor == pytest.approx(1 / factor, rel=0.06)
    assert focal.is_known and focal.mended_px < focal.miss_px


def test_translations_do_not_show_in_masks():
    bones = [balls(centres, 0.12) for centres in BONES]
    farther = [Change(scale=2.0).of(bone) for bone in bones]
    assert miss_px(farther) == pytest.approx(miss_px(bones), rel=1e-9)
    assert miss_px([zoomed(bone, 2.0) for bone in bones]) > 1.2 * miss_px(bones)


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_masks_of_one_ball_do_not(factor):
    focal = focal_from_masks([zoomed(balls([(0, 0, 0)], 0.4), factor)])
    assert focal.factor == 1 and not focal.is_known


@pytest.mark.parametrize(
    "factor", [0.5, 8.0, *(pytest.param(f, marks=pytest.mark.slow) for f in (0.25, 0.9, 1.1, 2.0))]
)
def test_depth_tells_the_focal_length(factor):
    bones = [balls(centres, 0.2) for centres in BONES[:2]]
    wrong, change = contradictions([zoomed(bone, factor) for bone in bones])
    assert len(wrong) == len(bones) and change.parts == 1
    assert change.focal == pytest.approx(1 / factor, rel=0.03)


@pytest.mark.parametrize("factor", [1.05, *(pytest.param(f, marks=pytest.mark.slow) for f in (0.3, 0.95, 3.0))])
def test_depth_tells_the_translations(factor):
    bones = [balls(centres, 0.2) for centres in BONES[:2]]
    wrong, change = contradictions([Change(scale=factor).of(bone) for bone in bones])
    assert len(wrong) == len(bones) and change.parts == 1
    assert change.scale == pytest.approx(1 / factor, rel=0.02)


def test_depth_tells_ray_lengths():
    bones = [balls(centres, 0.2) for centres in BONES[:2]]
    assert contradictions(bones) == ([], None)
    longer = np.linalg.norm(cameras.rays(np.eye(4), bones[0].intrinsics[0], SIDE, SIDE)[1], axis=-1)
    _, change = contradictions([replace(bone, depth=bone.depth * longer) for bone in bones])
    assert change == Change(is_ray_length=True)


@pytest.mark.slow
def test_depth_tells_both_at_once_and_one_of_many():
    bones = [balls(centres, 0.2) for centres in BONES]
    _, change = contradictions([Change(focal=0.5, scale=2.0).of(bone) for bone in bones])
    assert (change.focal, change.scale) == pytest.approx((2.0, 0.5), rel=0.04) and not change.is_ray_length
    one = [replace(bones[0], depth=bones[0].depth * 1.1), *bones[1:]]
    wrong, change = contradictions(one)
    assert len(wrong) == 1 and wrong[0].depth[0].min() == pytest.approx(one[0].depth[0].min())
    assert change.scale == pytest.approx(1.1, rel=0.02)


@pytest.fixture
def tree(exported, tmp_path):
    """A function that copies an exported tree, without its depth maps if asked to."""

    def copied(layout, has_depth=True):
        left_out = shutil.ignore_patterns(*([] if has_depth else ["depth", "visual_hull_depth"]))
        return shutil.copytree(exported[layout], tmp_path / layout, ignore=left_out)

    return copied


def zoom_files(root, factor):
    """Change every focal length of a tree."""
    for path in root.rglob("cameras.npz"):
        zoom = np.diag([factor, factor, 1, 1])
        arrays = {key: zoom @ m if "camera_mat_" in key else m for key, m in np.load(path).items() if "inv" not in key}
        np.savez(path, **arrays)
    for path in root.rglob("intrinsics.txt"):
        focal, rest = path.read_text().split(" ", 1)
        path.write_text(f"{float(focal) * factor} {rest}")


@pytest.mark.parametrize(
    "layout, has_depth, factor",
    [
        ("srn", False, 2.0),
        *(pytest.param("srn", False, factor, marks=pytest.mark.slow) for factor in (0.5, 4.0, 8.0)),
        *(pytest.param("dvr", False, factor, marks=pytest.mark.slow) for factor in (0.5, 2.0, 4.0, 8.0)),
        *(pytest.param("dvr", True, factor, marks=pytest.mark.slow) for factor in (0.5, 1.25, 2.0, 4.0, 8.0)),
    ],
)
def test_a_wrong_focal_length_is_named(tree, layout, has_depth, factor):
    root = tree(layout, has_depth)
    zoom_files(root, factor)
    report = check_views(root)
    assert not report.ok
    name = {"dvr": "fx and fy of camera_mat", "srn": "the focal length in intrinsics.txt"}[layout]
    for finding in report.findings:
        (told,) = re.findall(rf"multiply {name} by ([\d.]+)", finding.says)
        assert float(told) == pytest.approx(1 / factor, rel=0.08), report.text()
        assert "divide the cameras' translations" not in finding.says


def change_depths(root, change):
    for path in root.rglob("depth/*.exr"):
        write_exr(change(read_exr_depth(path)), path)


@pytest.mark.slow
def test_depths_along_the_ray_or_in_another_unit_are_named(tree):
    root = tree("dvr")
    rows, columns = np.mgrid[:48, :48] + 0.5
    focal = np.load(next(root.rglob("cameras.npz")))["camera_mat_0"][0, 0] * 24
    longer = np.sqrt(1 + ((rows - 24) ** 2 + (columns - 24) ** 2) / focal**2).astype(np.float32)
    change_depths(root, lambda depth: depth * longer)
    report = check_views(root)
    assert not report.ok and {finding.kind for finding in report.findings} == {"depth"}
    assert all("distances from the camera's centre" in finding.says for finding in report.findings), report.text()
    change_depths(root, lambda depth: depth / longer * np.float32(1.5))
    report = check_views(root)
    assert not report.ok and len(report.findings) == 6
    assert all("depths are 1.5 times" in finding.says for finding in report.findings), report.text()


def write_srn(root, thing, focal_factor=1.0):
    """An object in SRN's layout, by hand."""
    for part in ("rgb", "pose"):
        (root / part).mkdir(parents=True)
    focal = thing.intrinsics[0, 0, 0] * focal_factor
    (root / "intrinsics.txt").write_text(f"{focal} {SIDE / 2} {SIDE / 2} 0.\n0. 0. 0.\n1.\n{SIDE} {SIDE}\n")
    for view, (mask, pose) in enumerate(zip(thing.masks, thing.poses, strict=True)):
        Image.fromarray(np.where(mask, 90, 255).astype(np.uint8)).save(root / "rgb" / f"{view:06d}.png")
        np.savetxt(root / "pose" / f"{view:06d}.txt", np.linalg.inv(pose).reshape(1, 16))


def test_what_masks_cannot_tell_is_said(tmp_path):
    ball = balls([(0, 0, 0)], 0.4)
    for factor in (0.5, 1.0, 4.0):
        write_srn(tmp_path / f"{factor}" / "a", ball, factor)
    good = check_views(tmp_path / "1.0")
    assert not good.findings and "all is well" in good.text()
    long = check_views(tmp_path / "4.0")
    assert long.ok and [finding.kind for finding in long.findings] == ["size"]
    assert "only focal length x size / distance" in long.text() and "all is well" not in long.text()
    (short,) = check_views(tmp_path / "0.5").findings
    assert re.search(r"divide the cameras' translations .* or multiply the focal length", short.says)


@pytest.mark.parametrize("factor, kinds", [(0.2, ["size"]), (1.0, [])])
def test_small_objects_are_legal_and_told(factor, kinds):
    small = [balls([(factor * x, factor * y, factor * z) for x, y, z in centres], 0.15 * factor) for centres in BONES]
    report = checked([replace(thing, depth=None) for thing in small], "srn")
    assert report.ok and [finding.kind for finding in report.findings] == kinds


def checked(things, layout):
    report = Report("here", layout)
    _check_fit(things, report)
    return report


def cast_set(caster, kind, side, views, protocol, count):
    """Objects of a family, seen by the ray caster."""
    if kind == "geons":
        params = geons.Params(scalings=(0.7, 1.0, 1.3))
        module, keys = geons, [(name, key) for key in ("1.0_1.0_1.0", "0.7_1.0_1.3") for name in params.classes]
        keys = keys[:: max(1, len(keys) // count)][:count]
    else:
        params = categories.Params(instances=1)
        module, keys = categories, [(name, "0000") for name in params.classes][:count]
    extent = module.extent(params)
    camera = cameras.CameraParams(views=views, radius=2.732 * extent, protocol=protocol, fov_deg=32.0)
    optics, poses = cameras.intrinsics(camera, side), cameras.poses(camera, 3)
    result = []
    for name, key in keys:
        mesh = module.build(params, 0, name, key)
        frames = [caster(mesh, pose, optics, side, f"{name}/{key}", view) for view, pose in enumerate(poses)]
        result.append(of_frames(frames, extent))
    return result


def test_good_sets_raise_nothing(caster):
    good = cast_set(caster, "geons", 32, 8, "nmr", 4)
    for layout, some in (("dvr", good), ("srn", [replace(thing, depth=None) for thing in good])):
        report = checked(some, layout)
        assert not report.findings, report.text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, side, protocol, factors",
    [
        ("categories", 32, "nmr", (2.0, 8.0)),
        ("categories", 48, "sphere", (2.0, 8.0)),
        ("geons", 32, "nmr", ()),  # bodies of revolution on a ring: their masks tell no focal length
    ],
)
def test_more_good_sets_raise_nothing_and_wrong_ones_are_named(caster, kind, side, protocol, factors):
    good = cast_set(caster, kind, side, 8, protocol, 6)
    flat = [replace(thing, depth=None) for thing in good]
    nearer = [Change(scale=0.45).of(thing) for thing in flat]  # as exports for SRN's loader are
    for layout, some in (("dvr", good), ("srn", flat), ("srn", nearer), *(("srn", [thing]) for thing in flat)):
        report = checked(some, layout)
        assert not report.findings, report.text()
    for factor in factors:
        report = checked([zoomed(thing, factor) for thing in flat], "srn")
        told = [float(found) for f in report.findings for found in re.findall(r"intrinsics.txt by ([\d.]+)", f.says)]
        assert told and told == pytest.approx([1 / factor] * len(told), rel=0.08), report.text()
