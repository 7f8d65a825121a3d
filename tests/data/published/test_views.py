"""Pictures and masks in every mode that people save them in; and no exception but one that names the file."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from robust3d.data.published import nmr, srn
from robust3d.data.published.check import check_views
from robust3d.data.published.export import write_exr
from robust3d.data.published.params import NMRParams, SRNParams
from robust3d.data.published.views import mask_of, on_white, read_square, seen_on_white
from robust3d.errors import UserError

OBJECT = np.zeros((6, 6), bool)
OBJECT[1:4, 2:5] = True


def paint(inside, outside=0, alpha=None):
    """A picture (6, 6, C) of the object."""
    pixels = np.where(OBJECT[..., None], np.uint8(inside), np.uint8(outside))
    return pixels if alpha is None else np.dstack([pixels, np.where(OBJECT, *np.uint8(alpha))])


@pytest.mark.parametrize(
    "pixels",
    [
        paint([255]),
        paint([1]),
        paint([0, 0, 255]),
        paint([0, 7, 0]),
        paint([128, 0, 0]),
        paint([255, 255, 255], 0, (255, 255)),
        paint([0, 0, 9], 0, (255, 255)),
        paint([255, 255, 255], 0, (255, 0)),
        paint([0, 0, 0], 0, (255, 0)),  # alpha is the mask
        paint([255, 255, 255], 255, (200, 0)),
        paint([255, 255, 255], 0, (128, 128)),
        paint([0, 255], 0),
    ],
    ids=str,
)
def test_masks_in_any_channel(pixels, tmp_path):
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(pixels).save(tmp_path / "m.png")
    np.testing.assert_array_equal(mask_of(read_square(tmp_path / "m.png"), tmp_path / "m.png"), OBJECT)


def test_masks_in_a_palette(tmp_path):
    image = Image.fromarray(OBJECT.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 0, 0, 200])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(mask_of(read_square(tmp_path / "m.png"), tmp_path / "m.png"), OBJECT)


def test_a_mask_that_contradicts_itself_is_refused(tmp_path):
    pixels = paint([255, 255, 255], 0, (255, 0))
    pixels[0, 0] = 0, 0, 0, 255  # opaque where the colours say background
    with pytest.raises(UserError, match=r"m.png: its colours and its alpha show different masks"):
        mask_of(pixels, tmp_path / "m.png")


def test_alpha_goes_on_white():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0], pixels[0, 1], pixels[1, 0] = (10, 20, 30, 255), (100, 0, 200, 51), (255, 255, 255, 255)
    colours = on_white(pixels)
    assert colours[0, 0].tolist() == [10, 20, 30] and colours[1].tolist() == [[255] * 3, [255] * 3]
    assert colours[0, 1].tolist() == [224, 204, 244]  # 255 - 0.2 (255 - c)
    assert seen_on_white(pixels, colours).tolist() == [[True, True], [True, False]]  # a white part is seen by its alpha
    opaque = np.dstack([colours, np.full((2, 2), 255, np.uint8)])
    assert seen_on_white(opaque, on_white(opaque)).tolist() == [[True, True], [False, False]]
    np.testing.assert_array_equal(on_white(np.full((2, 2, 1), 7, np.uint8)), np.full((2, 2, 3), 7))


@pytest.fixture
def one_of_each(exported, tmp_path):
    """A copy of one object in each layout."""
    dvr = shutil.copytree(exported["dvr"] / "chair" / "0000", tmp_path / "dvr")
    return dvr, shutil.copytree(exported["srn"] / "chair_train" / "0000", tmp_path / "srn")


def test_transparent_pictures_show_what_opaque_ones_do(one_of_each, exported):
    told = []
    for copy, read, part in zip(one_of_each, (nmr.read_instance, srn.read_instance), ("image", "rgb"), strict=True):
        before = read(copy, "a", note=told.append)
        for path in (copy / part).iterdir():
            pixels = np.array(Image.open(path))
            Image.fromarray(np.dstack([pixels, 255 * (pixels < 255).any(-1)]).astype(np.uint8)).save(path)
        assert not told
        for old, new in zip(before, read(copy, "a", note=told.append), strict=True):
            np.testing.assert_array_equal(old.rgba, new.rgba)
            np.testing.assert_array_equal(old.mask, new.mask)
        assert len(told) == 1 and "put on white" in told.pop()


def test_masks_of_red_zero_are_read_and_pass_the_check(one_of_each):
    dvr, _ = one_of_each
    before = nmr.read_instance(dvr, "a")
    for path in (dvr / "mask").iterdir():
        mask = np.array(Image.open(path))
        Image.fromarray(np.dstack([0 * mask, 0 * mask, mask])).save(path)
    for old, new in zip(before, nmr.read_instance(dvr, "a"), strict=True):
        np.testing.assert_array_equal(old.mask, new.mask)
    assert check_views(dvr).ok


def test_depth_pairs_by_number_and_prefers_the_surface(one_of_each):
    dvr, _ = one_of_each
    before = nmr.read_instance(dvr, "a")
    for number in range(8):
        (dvr / "depth" / f"{number:04d}.exr").rename(dvr / "depth" / f"{number}.exr")
    np.testing.assert_array_equal(before[7].depth, nmr.read_instance(dvr, "a")[7].depth)
    (dvr / "depth" / "3.exr").unlink()
    with pytest.raises(UserError, match=r"8 files in image/ but 7 in depth/: image/0003.png without a partner"):
        nmr.read_instance(dvr, "a")
    assert "8 files in image/ but 7 in depth/" in check_views(dvr).text()


def test_foreign_exceptions_stay_inside(one_of_each, monkeypatch):
    dvr, flat = one_of_each
    for read, folder in ((nmr.read_instance, dvr), (srn.read_instance, flat)):
        with monkeypatch.context() as patch:
            patch.setattr("robust3d.data.published.files.Image.open", lambda *a, **k: 1 / 0)
            with pytest.raises(UserError, match=r"0+.png: a damaged PNG picture \(division by zero\)"):
                read(folder, "a")
        with monkeypatch.context() as patch:
            patch.setattr(f"{read.__module__}.frame_of", lambda *a: np.linalg.inv(np.zeros((2, 2))))
            with pytest.raises(UserError, match=rf"{folder}: not readable as an object in .*Singular matrix"):
                read(folder, "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        with pytest.raises(UserError, match=r"image: cannot be listed: Permission denied"):
            nmr.read_instance(dvr, "a")
    for module, read in (
        ("nmr.class_folder", lambda: nmr.take_inventory(dvr, NMRParams(path="x", classes=("car",)))),
        ("srn._part", lambda: srn.take_inventory(flat, SRNParams(path="x", classes=("cars",)))),
        ("check._check_fit", lambda: check_views(dvr)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"robust3d.data.published.{module}", lambda *a: os.stat("/none/" + chr(0)))
            with pytest.raises(UserError, match=r"cannot be (listed|checked) \(embedded null byte\)"):
                read()


def repaint(folder, change):
    """Every picture in a folder becomes change(pixels, mask)."""
    for path in folder.iterdir():
        pixels = np.array(Image.open(path))
        Image.fromarray(change(pixels, (pixels < 255).any(-1) if pixels.ndim == 3 else pixels > 0)).save(path)


def test_pictures_without_a_white_background_are_not_read_in_silence(one_of_each):
    dvr, flat = one_of_each
    told = []
    nmr.read_instance(dvr, "a", note=told.append)
    assert not told
    repaint(dvr / "image", lambda pixels, mask: np.uint8(pixels * mask[..., None]))  # black around it
    frames = nmr.read_instance(dvr, "a", note=told.append)
    assert len(told) == 1 and "around the object" in told.pop() and all(frame.rgba[0, 0, 3] for frame in frames)
    repaint(dvr / "mask", lambda pixels, mask: 0 * pixels)
    nmr.read_instance(dvr, "a", note=told.append)
    assert [text for text in told if "no pixel of any view belongs to the object" in text]
    repaint(dvr / "mask", lambda pixels, mask: 0 * pixels + 1)
    with pytest.raises(UserError, match=rf"{dvr}: every pixel of every view belongs to the object"):
        nmr.read_instance(dvr, "a")
    repaint(flat / "rgb", lambda pixels, mask: np.minimum(pixels, 254))
    with pytest.raises(UserError, match=rf"{flat}: every pixel of every view .* what is not pure white is the object"):
        srn.read_instance(flat, "a")


def test_depth_maps_without_depth_are_told(one_of_each):
    dvr, _ = one_of_each
    for path in (dvr / "depth").iterdir():
        write_exr(np.zeros((48, 48)), path)
    told = []
    nmr.read_instance(dvr, "a", note=told.append)
    assert len(told) == 1 and "its depth maps have no depth above 0" in told[0]


@pytest.mark.parametrize(
    "text, told",
    [
        ("{f} {c} {c} 0.\n0. 0. 0.\n1.\n48 48\n", None),
        ("{f} {c} {c} 0.\n0. 0. 0.\n1.\n48 48\n0\n", None),
        ("{f} {c} {c} 0.\n0. 0. 0.\n1.\n48 48\n1\n", "poses are world-to-camera"),
        ("{f} {f} {c} {c}\n0. 0. 0.\n1.\n48 48\n", "no 'f cx cy 0.'"),
        ("{f} 0 {c}\n0 {f} {c}\n0 0 1\n48 48\n", "no 'f cx cy 0.'"),
        ("1.7 0.5 0.5 0.\n0. 0. 0.\n1.\n48 48\n", "f, cx and cy are in pixels"),
        ("", "expected 'f cx cy 0.'"),
        ("\n\n1\n", "expected 'f cx cy 0.'"),
    ],
)
def test_intrinsics_of_srn(one_of_each, text, told):
    _, flat = one_of_each
    before = srn.read_instance(flat, "a")
    focal, centre = before[0].intrinsics[0, 0], before[0].intrinsics[0, 2]
    (flat / "intrinsics.txt").write_text(text.format(f=repr(float(focal)), c=repr(float(centre))))
    if told:
        with pytest.raises(UserError, match=f"intrinsics.txt: .*{told}"):
            srn.read_instance(flat, "a")
    else:
        np.testing.assert_array_equal(srn.read_instance(flat, "a")[3].intrinsics, before[3].intrinsics)


def srn_object(folder):
    (folder / "rgb").mkdir(parents=True)
    (folder / "pose").mkdir()
    (folder / "intrinsics.txt").write_text("12. 4. 4. 0.\n0. 0. 0.\n1.\n8 8\n")


def test_folders_between_a_part_and_its_objects(tmp_path):
    for name in ("chairs_train/chairs_2.0_train/a", "chairs_train/chairs_2.0_train/b", "chairs_test/c"):
        srn_object(tmp_path / name)
    for junk in ("chairs_train/@eaDir", "chairs_train/chairs_2.0_train/__MACOSX", "chairs_test/.DS_Store"):
        (tmp_path / junk).mkdir()
    params = SRNParams(path="x", classes=("chairs",))
    found = srn.take_inventory(tmp_path, params)
    assert found.splits["chairs"] == {"train": ("a", "b"), "val": (), "test": ("c",)} and not found.missing
    assert found.classes["chairs"]["b"].path == "chairs_train/chairs_2.0_train/b"
    srn_object(tmp_path / "chairs_train" / "b")
    with pytest.raises(UserError, match=r"b: this object stands in .* as well; leave one"):
        srn.take_inventory(tmp_path, params)
    shutil.rmtree(tmp_path / "chairs_train" / "b")
    (tmp_path / "chairs_test" / "c" / "intrinsics.txt").unlink()
    with pytest.raises(UserError, match=r"1 of 3 objects have a folder without intrinsics.txt: chairs/c"):
        srn.take_inventory(tmp_path, params)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lists_in_any_encoding(encoding, end, tmp_path):
    for key in "abc":
        (tmp_path / "car" / key).mkdir(parents=True)
        (tmp_path / "car" / key / "cameras.npz").write_bytes(b"x")
    for part, key in (("train", "a"), ("val", "b"), ("test", "c")):
        (tmp_path / "car" / f"softras_{part}.lst").write_bytes(f"{key}{end}".encode(encoding))
    found = nmr.take_inventory(tmp_path, NMRParams(path="x", classes=("car",)))
    assert found.splits["car"] == {"train": ("a",), "val": ("b",), "test": ("c",)} and not found.missing
