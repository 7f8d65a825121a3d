"""File N goes with camera N: random gaps and renumberings are read right or refused, never read wrongly."""

import random
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from robust3d.data.published import nmr, srn
from robust3d.data.published.check import check_views
from robust3d.data.published.numbering import by_number, chosen_views, numbered_files
from robust3d.errors import UserError

VIEWS, SIDE = 8, 8


def camera(view):
    """A world-to-camera matrix that tells its view."""
    pose = np.eye(4)
    pose[:3, 3] = 0.01 * view, 0.0, 3.0
    return pose


def picture(view):
    """A white picture whose one pixel tells its view, in colour and place."""
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    pixels[view, 2] = (10 * view, 0, 0)
    return pixels


def drawn(view):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[view, 2] = 255
    return mask


def names_of(views, rng, plain=False):
    """Names of files for these true views, as tools and people give them; and whether N is the true view's number."""
    prefix = rng.choice(["", "", "view_", "car2-", "r_"])
    padding = rng.choice([0, 0, 2, 4, 6])
    way = "true" if plain else rng.choice(["true", "true", "true", "one", "anew", "stride"])
    number = {
        "true": lambda place, view: view,
        "one": lambda place, view: view + 1,
        "anew": lambda place, view: place,
        "stride": lambda place, view: 10 * view,
    }[way]
    names = {}
    for place, view in enumerate(views):
        digits = rng.choice([0, padding, 4]) if padding == 2 else padding  # mixed
        names[view] = f"{prefix}{number(place, view):0{digits}d}" if digits else f"{prefix}{number(place, view)}"
    return names, all(number(place, view) == view for place, view in enumerate(views))


def some(rng):
    """All views, or all but a few."""
    gone = rng.sample(range(VIEWS), rng.choice([0, 0, 0, 1, 1, 2, 3]))
    return [view for view in range(VIEWS) if view not in gone]


def seen(frame):
    """The view that picture, mask, depth and camera of a frame come from."""
    (row,) = np.flatnonzero(frame.mask.any(axis=1))
    told = {int(row), round(frame.rgba[row, 2, 0] / 10), round(frame.world_to_camera[0, 3] / 0.01)}
    depth = frame.depth[row, 2]
    return told | ({round(float(depth) - 1)} if np.isfinite(depth) else set())


def write_dvr(folder: Path, rng: random.Random):
    """An object in DVR's layout and whether the numbers in its names are those of the cameras."""
    views = some(rng)
    parts = {"image": views, "mask": views if rng.random() < 0.6 else some(rng)}
    if rng.random() < 0.3:
        parts["depth"] = views if rng.random() < 0.6 else some(rng)
    names, true = names_of(views, rng)
    for part, those in parts.items():
        (folder / part).mkdir(parents=True)
        mine = names if those == views and rng.random() < 0.8 else None
        if mine is None:
            mine, honest = names_of(those, rng)
            true &= honest
        for view in those:
            if part == "depth":
                depth = np.full((SIDE, SIDE), 1.0 + view, np.float32)
                with OpenEXR.File({}, {"Z": depth}) as file:
                    file.write(str(folder / part / f"{mine[view]}.exr"))
            else:
                Image.fromarray((picture if part == "image" else drawn)(view)).save(folder / part / f"{mine[view]}.png")
    # Cameras that are left out are no mistake of numbering, and nothing could tell the two apart together.
    cameras = some(rng) if true and rng.random() < 0.3 else range(VIEWS)
    matrices = {f"world_mat_{view}": camera(view) for view in cameras}
    np.savez(folder / "cameras.npz", **matrices, **{f"camera_mat_{view}": np.diag([3.0, 3, 1, 1]) for view in cameras})


def write_srn(folder: Path, rng: random.Random):
    views = some(rng)
    names, true = names_of(views, rng)
    others = views if not true or rng.random() < 0.5 else some(rng)
    if others == views and rng.random() < 0.7:
        theirs = {view: name if rng.random() < 0.9 else f"0{name}" for view, name in names.items()}
    else:
        theirs, _ = names_of(others, rng, plain=others != views)
    for part in ("rgb", "pose"):
        (folder / part).mkdir(parents=True)
    for view in views:
        Image.fromarray(picture(view)).save(folder / "rgb" / f"{names[view]}.png")
    for view in others:
        np.savetxt(folder / "pose" / f"{theirs[view]}.txt", np.linalg.inv(camera(view)).reshape(1, 16))
    (folder / "intrinsics.txt").write_text(f"12. 4. 4. 0.\n0. 0. 0.\n1.\n{SIDE} {SIDE}\n")


@pytest.mark.parametrize("layout", ["dvr", "srn"])
def test_random_gaps_and_renumberings_are_never_read_wrongly(layout, tmp_path):
    rng = random.Random(5)
    write, read = {"dvr": (write_dvr, nmr.read_instance), "srn": (write_srn, srn.read_instance)}[layout]
    right = refused = 0
    for trial in range(120):
        folder = tmp_path / f"{trial}"
        write(folder, rng)
        try:
            frames = read(folder, "a", note=lambda text: None)
        except UserError as error:
            refused += 1
            assert str(folder) in str(error) and any(letter.isdigit() for letter in str(error).replace(str(folder), ""))
            continue
        told = [seen(frame) for frame in frames]
        assert all(len(views) == 1 for views in told), sorted(path.name for path in folder.rglob("*"))
        assert [min(views) for views in told] == sorted(min(views) for views in told)
        right += 1
    assert right > 25 and refused > 25, (right, refused)


def test_numbers_in_names():
    def numbers(*names):
        return list(by_number([Path(name) for name in names]))

    assert numbers("10.png", "9.png", "0008.png") == [8, 9, 10]
    assert numbers("car2-7.png", "car2-10.png") == [7, 10]
    assert numbers("r_3.png") == [3] and numbers() == []
    assert numbers("3_0003.png", "12_0012.png") == [3, 12]
    for names, told in (
        (("a.png", "b.png"), "a.png: .*has no number"),
        (("1.png", "01.png"), "is view 1 as well"),
        (("1.png", "1 copy.png"), "1 copy.png: .*is not like 1.png"),
        (("az10_el30.png", "az20_el40.png"), "which of the numbers"),
        (("٣.png",), "has no number"),
    ):
        with pytest.raises(UserError, match=told):
            numbers(*names)


@pytest.mark.parametrize("there, wanted", [(251, 50), (5, 4), (24, 24), (24, 7), (3, 1), (50, 49)])
def test_views_are_evenly_spaced(there, wanted):
    chosen = chosen_views(Path("a"), there, wanted)
    assert len(set(chosen)) == wanted and chosen[0] == 0 and chosen[-1] < there
    assert all(abs(place - k * there / wanted) <= 0.5 for k, place in enumerate(chosen))
    with pytest.raises(UserError, match=f"a: {there} views, but views: {there + 1} is asked for"):
        chosen_views(Path("a"), there, there + 1)


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "0000.png")
    for name in ("._0000.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0001.png").write_bytes(b"x")
    told = []
    assert list(numbered_files(tmp_path, ".png", told.append)) == [0] and not told
    (tmp_path / "0001.jpg").write_bytes(b"x")
    assert list(numbered_files(tmp_path, ".png", told.append)) == [0] and "1 .jpg files beside" in told[0]
    (tmp_path / "0000.png").unlink()
    with pytest.raises(UserError, match=r"holds 1 .jpg files and no .png; PNG is needed"):
        numbered_files(tmp_path, ".png")
    (tmp_path / "0001.jpg").rename(tmp_path / "0001.tga")
    with pytest.raises(UserError, match=r"holds 1 .tga files and no .txt; TXT is needed"):
        numbered_files(tmp_path, ".txt")
    (tmp_path / "0001.tga").unlink()
    assert numbered_files(tmp_path, ".png") == {}
    with pytest.raises(UserError, match="none: no such folder"):
        numbered_files(tmp_path / "none", ".png")


def dvr_object(folder, images, masks=None, cameras=range(VIEWS)):
    for part, names in (("image", images), ("mask", masks or images)):
        (folder / part).mkdir(parents=True)
        for view, name in names.items():
            Image.fromarray((picture if part == "image" else drawn)(view)).save(folder / part / f"{name}.png")
    matrices = {f"world_mat_{n}": camera(n) for n in cameras}
    np.savez(folder / "cameras.npz", **matrices, **{f"camera_mat_{n}": np.diag([3.0, 3, 1, 1]) for n in cameras})
    return folder


@pytest.mark.parametrize(
    "images, masks, cameras, told",
    [
        (
            {0: "0000", 1: "0001", 2: "0003"},
            None,
            (0, 1, 2),
            "3 cameras for 3 images: no world_mat_3 for image/0003.png",
        ),
        ({0: "1", 1: "2", 2: "3"}, None, (0, 1, 2), r"no world_mat_3 .*\(cameras: 0 to 2, images: 1 to 3\)"),
        ({0: "1", 1: "2"}, None, (0, 1, 2), "3 cameras for 2 images: no image for world_mat_0"),
        ({0: "1", 1: "2", 3: "4"}, None, range(6), "no image for world_mat_0, world_mat_3, world_mat_5"),
        ({0: "0", 1: "1"}, None, (0, 1, 2, 3), "no image for world_mat_2, world_mat_3"),
        (
            {0: "0", 1: "1"},
            {0: "0", 1: "2"},
            (0, 1),
            r"2 files in image/ and 2 in mask/: image/1.png, mask/2.png without",
        ),
        ({0: "0", 1: "1"}, {0: "0"}, (0, 1), r"2 files in image/ but 1 in mask/: image/1.png without a partner"),
        ({0: "front", 1: "back"}, None, (0, 1), "back.png: .*has no number"),
    ],
)
def test_what_does_not_go_together_is_named(images, masks, cameras, told, tmp_path):
    folder = dvr_object(tmp_path / "a", images, masks, cameras)
    with pytest.raises(UserError, match=told):
        nmr.read_instance(folder, "a")
    report = check_views(tmp_path)
    assert not report.ok and "all is well" not in report.text()


def test_gaps_are_read_by_number_and_told(tmp_path, capsys):
    folder = dvr_object(tmp_path / "a", {0: "00", 1: "1", 3: "03", 6: "6"})
    assert [seen(frame) for frame in nmr.read_instance(folder, "a")] == [{0}, {1}, {3}, {6}]
    assert (
        "8 cameras for 4 images: no image for world_mat_2, world_mat_4, world_mat_5, world_mat_7; "
        in capsys.readouterr().err
    )
    assert [seen(frame) for frame in nmr.read_instance(folder, "a", views=3)] == [{0}, {1}, {6}]
    report = check_views(tmp_path)
    assert "no view 2, so view 3 gets another view's camera" in report.text() and not report.ok
    same = dvr_object(tmp_path / "b", {1: "1", 3: "3"}, cameras=(1, 3))
    assert [seen(frame) for frame in nmr.read_instance(same, "b")] == [{1}, {3}]


def test_cameras_are_named_by_number_too(tmp_path):
    folder = dvr_object(tmp_path / "a", {0: "0", 1: "1"}, cameras=(0, 1))
    good = dict(np.load(folder / "cameras.npz"))
    np.savez(folder / "cameras.npz", **{key.replace("mat_", "mat_000"): value for key, value in good.items()})
    assert [seen(frame) for frame in nmr.read_instance(folder, "a")] == [{0}, {1}]
    for more, told in (
        ({"world_mat_01": camera(5)}, "world_mat_0?1 and world_mat_0?1 are both of view 1"),
        ({"scale_mat_0": np.eye(4)}, "no scale_mat_1, but world_mat_1 is there"),
    ):
        np.savez(folder / "cameras.npz", **good, **more)
        with pytest.raises(UserError, match=told):
            nmr.read_instance(folder, "a")
