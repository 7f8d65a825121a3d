"""Good views pass; each usual mistake, planted by writers that stand here, is named with its remedy."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from robust3d.cameras import to_dvr
from robust3d.data.compositing import compose
from robust3d.data.published.check import check_views
from robust3d.errors import UserError

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
TO_NDC = np.array([[2 / 48, 0, -1], [0, 2 / 48, -1], [0, 0, 1.0]])


@pytest.fixture
def dvr(exported, tmp_path):
    """A copy of the DVR tree that may be spoiled."""
    return shutil.copytree(exported["dvr"], tmp_path / "dvr")


@pytest.fixture
def srn(exported, tmp_path):
    return shutil.copytree(exported["srn"], tmp_path / "srn")


def objects(root):
    return sorted(path.parent for path in [*root.rglob("cameras.npz"), *root.rglob("intrinsics.txt")])


def spoil(root, **changes):
    """Change every world_mat, camera_mat or scale_mat of a DVR tree."""
    for folder in objects(root):
        arrays = dict(np.load(folder / "cameras.npz"))
        for name, change in changes.items():
            for i in range(8):
                arrays[f"{name}_{i}"] = change(arrays[f"{name}_{i}"])
        np.savez(folder / "cameras.npz", **{key: value for key, value in arrays.items() if "inv" not in key})


def spoil_poses(root, change):
    for path in root.rglob("pose/*.txt"):
        np.savetxt(path, change(np.loadtxt(path).reshape(4, 4)).reshape(1, 16))


def spoil_intrinsics(root, change):
    for path in root.rglob("intrinsics.txt"):
        lines = path.read_text().splitlines()
        numbers = [float(word) for word in lines[0].split()]
        path.write_text("\n".join([" ".join(map(repr, change(numbers))), *lines[1:]]))


def flip_pictures(root, axis):
    for path in root.rglob("*.png"):
        Image.fromarray(np.flip(np.array(Image.open(path)), axis)).save(path)


def shut_eyes(root):
    """Take the depth maps away, as in most people's own data."""
    for path in [*root.rglob("depth"), *root.rglob("visual_hull_depth")]:
        shutil.rmtree(path)


@pytest.mark.parametrize("layout", ["dvr", "srn"])
def test_good_views_pass(exported, layout):
    report = check_views(exported[layout])
    assert report.ok and not report.findings, report.text()
    assert report.objects == 6 and len(report.looked_at) == 6 and min(report.agreement.values()) > 0.95
    assert "all is well" in report.text()


def test_one_object_or_one_class_is_enough(exported):
    assert check_views(exported["dvr"] / "chair").objects == 3
    assert check_views(exported["srn"] / "chair_train" / "0000").ok


def centre(matrix, change):
    result = matrix.copy()
    result[:2, 2] = change(result[:2, 2])
    return result


def in_pixels(camera_mat):
    return np.block([[np.linalg.inv(TO_NDC) @ camera_mat[:3, :3], np.zeros((3, 1))], [np.zeros((1, 3)), 1]])


def transposed(pose):
    return np.block([[pose[:3, :3].T, pose[:3, 3:]], [pose[3:]]])


DVR_MISTAKES = {
    "inverse": (dict(world_mat=np.linalg.inv), "holds camera-to-world matrices; store their inverses"),
    "opengl": (dict(world_mat=lambda m: FLIP @ m), "camera axes of OpenGL and Blender.*from the left"),
    "blender": (
        dict(world_mat=lambda m: np.linalg.inv(m) @ FLIP),
        "camera-to-world matrices with the camera axes of Open",
    ),
    "transposed": (dict(world_mat=transposed), "is transposed"),
    "pixels": (dict(camera_mat=in_pixels), "camera_mat is in pixels"),
    "fractions": (
        dict(camera_mat=lambda m: np.diag([1 / 48, 1 / 48, 1, 1]) @ in_pixels(m)),
        "fractions of the picture",
    ),
    "focal": (dict(camera_mat=lambda m: np.diag([24.0, 24, 1, 1]) @ m), "focal length of camera_mat is in pixels"),
    "principal": (dict(camera_mat=lambda m: centre(m, lambda c: c + 0.5)), "principal point is wrong"),
    "unit cube": (dict(world_mat=lambda m: np.block([[m[:3, :3], 1.5 * m[:3, 3:]], [m[3:]]])), "have to lie in"),
    "half pixel": (dict(camera_mat=lambda m: centre(m, lambda c: c - 1 / 48)), r"half a pixel: add \+0.5, \+0.5 px"),
    "both": (
        dict(world_mat=np.linalg.inv, camera_mat=in_pixels),
        "camera-to-world matrices; store their inverses.*; and camera_mat is in pixels",
    ),
}


@pytest.mark.parametrize("mistake", DVR_MISTAKES)
def test_mistakes_in_dvr_cameras_are_named(dvr, mistake):
    changes, told = DVR_MISTAKES[mistake]
    shut_eyes(dvr)
    spoil(dvr, **changes)
    report = check_views(dvr)
    assert not report.ok
    matched = [finding for finding in report.findings if finding.kind in ("fit", "half pixel")]
    assert matched, report.text()
    assert all(re.search(told, finding.says) for finding in matched), report.text()


SRN_MISTAKES = {
    "inverse": (lambda r: spoil_poses(r, np.linalg.inv), "holds world-to-camera matrices; store their inverses"),
    "opengl": (lambda r: spoil_poses(r, lambda m: m @ FLIP), "OpenGL and Blender.*from the right"),
    "transposed": (lambda r: spoil_poses(r, transposed), "is transposed"),
    "ndc": (lambda r: spoil_intrinsics(r, lambda n: [n[0] / 24, 0.0, 0.0, 0.0]), "coordinates from -1 to 1"),
    "fractions": (lambda r: spoil_intrinsics(r, lambda n: [v / 48 for v in n]), "fractions of the picture"),
    "larger": (lambda r: spoil_intrinsics(r, lambda n: [2 * v for v in n]), "pictures twice as large"),
    "upside down": (lambda r: flip_pictures(r, 0), "upside down"),
    "mirrored": (lambda r: flip_pictures(r, 1), "mirrored left to right"),
    "half pixel": (
        lambda r: spoil_intrinsics(r, lambda n: [n[0], n[1] - 0.5, n[2] - 0.5, 0.0]),
        r"half a pixel: add \+0.5, \+0.5 px",
    ),
}


@pytest.mark.parametrize("mistake", SRN_MISTAKES)
def test_mistakes_in_srn_views_are_named(srn, mistake):
    spoiling, told = SRN_MISTAKES[mistake]
    spoiling(srn)
    report = check_views(srn)
    matched = [finding for finding in report.findings if finding.kind in ("fit", "half pixel")]
    assert not report.ok and matched, report.text()
    assert any(re.search(told, finding.says) for finding in matched), report.text()


ROLL = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda m: ROLL @ m, r"PyTorch3D \(x left, y up\).*multiply it by diag\(-1, -1, 1, 1\) from the left"),
        (lambda m: np.linalg.inv(ROLL @ m), r"camera-to-world matrices with the camera axes of PyTorch3D.*@ inverse"),
        (lambda m: transposed(ROLL @ m), r"R and T of PyTorch3D as they are"),
    ],
)
def test_the_axes_of_pytorch3d_in_dvr_cameras(dvr, change, told):
    shut_eyes(dvr)
    spoil(dvr, world_mat=change)
    report = check_views(dvr)
    says = [finding.says for finding in report.findings if finding.kind in ("fit", "rolled")]
    assert not report.ok and says and all(re.search(told, text) for text in says), report.text()


def test_rolled_cameras_and_turned_pictures_are_told_apart(srn):
    spoil_poses(srn, lambda m: m @ ROLL)
    report = check_views(srn)
    told = [finding.says for finding in report.findings if finding.kind in ("fit", "rolled")]
    assert told and all("PyTorch3D" in says and "from the right" in says for says in told), report.text()
    for axis in (0, 1):
        flip_pictures(srn, axis)  # what the cameras now show
    spoil_poses(srn, lambda m: m @ ROLL)  # upright cameras, turned pictures
    report = check_views(srn)
    told = [finding.says for finding in report.findings if finding.kind in ("fit", "rolled")]
    assert told and all("turned by 180 degrees" in says for says in told), report.text()


def test_a_world_on_its_head_is_no_mistake_of_the_cameras(dvr):
    spoil(dvr, world_mat=lambda m: m @ FLIP)
    report = check_views(dvr)
    assert report.ok and "-y points up; in the published data +y does" in report.text()


def test_one_view_of_many_with_anothers_camera_is_named(many_views, tmp_path):
    for part in ("image", "mask"):
        (tmp_path / part).mkdir()
    for view, frame in enumerate(many_views):
        Image.fromarray(compose(frame.rgba, 255)).save(tmp_path / "image" / f"{view:04d}.png")
        Image.fromarray(255 * frame.mask.astype(np.uint8)).save(tmp_path / "mask" / f"{view:04d}.png")
    poses, optics = np.stack([frame.world_to_camera for frame in many_views]), many_views[0].intrinsics
    poses[:, :3, 3] /= 1.5
    np.savez(tmp_path / "cameras.npz", **to_dvr(poses, optics, 48))
    assert check_views(tmp_path).ok
    poses[5] = poses[3]
    np.savez(tmp_path / "cameras.npz", **to_dvr(poses, optics, 48))
    report = check_views(tmp_path)
    assert min(report.agreement.values()) > 0.95 and not report.ok
    assert "0005.png do not fit the other views" in only(report, "odd view")[0].says


def only(report, kind):
    found = [finding for finding in report.findings if finding.kind == kind]
    assert found, report.text()
    return found


def test_names_without_leading_zeros(dvr):
    shut_eyes(dvr)
    for folder in objects(dvr):
        arrays = dict(np.load(folder / "cameras.npz"))
        for i in range(8):  # views 0, 3, 6, …, 21 are called so, which sorts as 0, 12, 15, 18, 21, 3, 6, 9
            for name in ("image", "mask"):
                (folder / name / f"{i:04d}.png").rename(folder / name / f"{3 * i}.png")
        np.savez(folder / "cameras.npz", **arrays)
    report = check_views(dvr)
    assert "no leading zeros" in only(report, "order")[0].says
    assert "name them with leading zeros" in only(report, "fit")[0].says


def first(root):
    return objects(root)[0]


def test_depth_as_ray_length_is_told(dvr):
    from robust3d.data.published.export import write_exr
    from robust3d.data.published.files import read_exr_depth

    rows, columns = np.mgrid[:48, :48] + 0.5
    focal = np.load(first(dvr) / "cameras.npz")["camera_mat_0"][0, 0] * 24
    longer = np.sqrt(1 + ((rows - 24) ** 2 + (columns - 24) ** 2) / focal**2).astype(np.float32)
    for path in dvr.rglob("depth/*.exr"):
        write_exr(read_exr_depth(path) * 1.3 * longer, path)
    report = check_views(dvr)
    assert "depth maps contradict masks" in only(report, "depth")[0].says


def test_broken_files_and_odd_pictures_are_told(dvr):
    a, b, c, *_ = objects(dvr)
    (a / "image" / "0003.png").unlink()
    (b / "mask" / "0002.png").write_bytes((b / "mask" / "0002.png").read_bytes()[:60])
    mask = np.array(Image.open(c / "mask" / "0001.png"))
    Image.fromarray(np.where(mask, 77 + 100 * (np.arange(48) % 2), 0).astype(np.uint8)).save(c / "mask" / "0001.png")
    Image.fromarray(np.zeros_like(mask)).save(c / "mask" / "0004.png")
    report = check_views(dvr)
    told = report.text()
    assert "7 PNG files in image/ and 8 in mask/" in told and "0002.png: a damaged PNG" in told
    assert "0001.png has 3 grey values" in told and "0004.png: no pixel belongs to the object" in told
    assert "correct this data set" in told


@pytest.mark.parametrize(
    "change, kind, told",
    [
        (dict(world_mat=lambda m: np.diag([2.0, 2, 2, 1]) @ m), "not rigid", "scales by 2"),
        (dict(world_mat=lambda m: m * [1, 1, 1, np.nan]), "unreadable", "NaN"),
        (dict(world_mat=lambda m: m @ np.diag([-1.0, 1, 1, 1])), "not rigid", "mirrors"),
        (dict(world_mat=lambda m: m.T), "not rigid", "transposed"),
        (dict(camera_mat=lambda m: np.diag([1.0, 1.2, 1, 1]) @ m), "focal", "fx = fy"),
        (dict(camera_mat=lambda m: np.diag([-1.0, 1, 1, 1]) @ m), "camera_mat", "not positive"),
    ],
)
def test_impossible_cameras_are_told(dvr, change, kind, told):
    spoil(dvr, **change)
    report = check_views(dvr)
    assert not report.ok and told in only(report, kind)[0].says


def test_inverted_masks_are_told(dvr):
    for path in dvr.rglob("mask/*.png"):
        Image.fromarray(255 - np.array(Image.open(path))).save(path)
    assert "inverted" in only(check_views(dvr), "full mask")[0].says


def test_objects_that_stand_differently_are_told(dvr):
    turn = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # z-up world to y-up world
    spoil(dvr / "chair" / "0001", world_mat=lambda m: m @ turn)
    report = check_views(dvr)
    assert [finding.where for finding in only(report, "mixed up")] == ["chair/0001"]
    assert "+z points up here and +y" in report.text()


def test_mixed_rims_are_no_coloured_background(dvr):
    for path in dvr.rglob("image/*.png"):
        mask = np.array(Image.open(path.parents[1] / "mask" / path.name)) > 0
        picture = np.array(Image.open(path))
        around = np.pad(mask, 1)
        picture[~mask & (around[2:, 1:-1] | around[:-2, 1:-1] | around[1:-1, 2:] | around[1:-1, :-2])] = 200
        picture[1, 5:20] = 240  # a wire between the pixel centres of the mask
        Image.fromarray(picture).save(path)
    report = check_views(dvr)
    assert not report.findings, report.text()
    for path in dvr.rglob("image/*.png"):
        picture = np.array(Image.open(path))
        picture[40:][picture[40:] == 255] = 250  # a floor
        Image.fromarray(picture).save(path)
    report = check_views(dvr)
    assert report.ok and {finding.kind for finding in report.findings} == {"background"}
    assert "the background is not white" in report.text()


def test_lists_are_checked(dvr):
    (dvr / "chair" / "softras_train.lst").write_text("0000\n0002\nnowhere")
    told = check_views(dvr).text()
    assert "names 1 objects that are not there, such as nowhere" in told and "test data in the training set" in told


def test_a_folder_that_is_no_data_set(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        check_views(tmp_path / "none")
    with pytest.raises(UserError, match="neither DVR's layout"):
        check_views(tmp_path)
