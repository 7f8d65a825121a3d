"""Sets from a folder: what is taken, what is refused by name, and the pixels that come out."""

import json
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import colours, save
from PIL import Image
from torchvision.transforms import functional

from robust3d.data.published.files import read_photograph
from robust3d.errors import UserError
from robust3d.imagesets import folder


def names(data) -> set[str]:
    return set(data.rows["instance"])


def pixels_of(data, instance: str) -> np.ndarray:
    (place,) = np.flatnonzero(data.rows["instance"] == instance)
    return data.batch([int(place)])[0].permute(1, 2, 0).numpy()


def test_splits_labels_and_pixels_are_those_of_the_folder(pictures, make):
    made = make(kind="folder", path=str(pictures))
    for split, count in (("train", 12), ("val", 4), ("test", 6)):
        data = made.open(split)
        assert len(data) == count and data.classes == ("cat", "dog") and not data.notices and data.background is None
        for instance, label in zip(data.rows["instance"], data.labels.tolist()):
            assert instance.split("/")[:2] == [split, data.classes[label]]
            assert np.array_equal(pixels_of(data, instance), np.asarray(Image.open(pictures / instance)))
        assert data.labels[:4].tolist() == [0, 1, 0, 1]  # classes alternate
    lines = made.sources[0].read_text().splitlines()[1:]
    assert len(lines) == 22 and {line.split("  ")[1] for line in lines} >= {"train/cat/0.png", "test/dog/2.png"}


def test_images_from_memory_and_from_files_are_the_same_whatever_the_shards(pictures, make):
    whole = make(kind="folder", path=str(pictures)).open()
    for shards in (1, 3):
        made = make(kind="folder", path=str(pictures), shards=shards)
        lazy = made.open(resident_bytes=0)
        assert lazy.resident is None and whole.resident is not None
        index = torch.tensor([7, 0, 11, 7])
        assert torch.equal(lazy.batch(index), whole.batch(index)) and torch.equal(lazy.labels, whole.labels)
        assert torch.equal(torch.cat([images for images, _ in lazy.batches(5)]), whole.all())
        with pytest.raises(UserError, match=r"12 images of 12 px are .* choose fewer by `images`"):
            lazy.all()


def test_a_folder_without_splits_is_divided_class_by_class(tmp_path, make):
    for c, name in enumerate(("b", "a")):
        for number in range(20):
            save(tmp_path / "flat" / name / f"{number}.png", colours(100 * c + number))
    made = make(kind="folder", path=str(tmp_path / "flat"), ratio=[7, 2, 1])
    parts = {split: made.open(split) for split in ("train", "val", "test")}
    assert [np.bincount(part.labels).tolist() for part in parts.values()] == [[14, 14], [4, 4], [2, 2]]
    assert len(set().union(*map(names, parts.values()))) == 40 and parts["train"].classes == ("a", "b")
    few = make(kind="folder", path=str(tmp_path / "flat"), images=[6, 4, 2], label_order=["b", "a"]).open()
    assert np.bincount(few.labels).tolist() == [3, 3] and few.classes == ("b", "a")
    with pytest.raises(UserError, match=r"images\[1\] \(val\): 6 images asked, .* at most 4"):
        make(kind="folder", path=str(tmp_path / "flat"), images=[6, 6, 2])


def test_where_only_training_and_validation_are_there_the_cells_say_what_is_tested(pictures, make):
    shutil.rmtree(pictures / "test")
    made = make(kind="folder", path=str(pictures), ratio=[5, 1, 1])
    assert names(made.open("test")) == {f"val/{name}/{n}.png" for name in ("cat", "dog") for n in range(2)}
    assert len(made.open("train")) == 10 and len(made.open("val")) == 2
    assert made.open("test").notices == ("the validation images of the source are the test images; it has no others",)


def test_odd_but_legal_files_are_shown_as_viewers_show_them(tmp_path, make):
    root = tmp_path / "odd"
    upright = colours(1)
    save(root / "train/été/ⅷ 名.png", upright)
    save(root / "train/été/.hidden.png", upright)
    save(root / "train/__MACOSX/x.png", upright)
    (root / "train/été/Thumbs.db").write_bytes(b"x")
    (root / "train/été/notes.txt").write_text("x")
    save(root / "train/été/below/grey.png", upright[..., 0])
    Image.fromarray(upright).quantize(64).save(root / "train/été/palette.gif")
    Image.fromarray(upright).convert("CMYK").save(root / "train/été/cmyk.JPG", "JPEG", quality=95)
    save(root / "train/été/is-a-jpeg.png", upright, format="JPEG", quality=95, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    save(root / "train/été/turned.png", np.rot90(upright).copy(), exif=exif)
    (root / "train/été/link.png").symlink_to("ⅷ 名.png")
    for split in ("val", "test"):
        save(root / split / "été/a.png", colours(2))
    for split in ("train", "val", "test"):
        save(root / split / "b/a.png", colours(3))
    data = make(kind="folder", path=str(root)).open()
    assert data.classes == ("b", "été")
    files = ["below/grey.png", "cmyk.JPG", "is-a-jpeg.png", "link.png", "palette.gif", "turned.png", "ⅷ 名.png"]
    assert sorted(names(data)) == ["train/b/a.png", *(f"train/été/{file}" for file in files)]
    for file in ("ⅷ 名.png", "link.png", "turned.png"):
        assert np.array_equal(pixels_of(data, f"train/été/{file}"), upright), file
    assert np.array_equal(pixels_of(data, "train/été/below/grey.png"), upright[..., :1].repeat(3, 2))
    for file, apart in (("cmyk.JPG", 8), ("is-a-jpeg.png", 8), ("palette.gif", 40)):
        assert np.abs(pixels_of(data, f"train/été/{file}").astype(int) - upright).mean() < apart, file


@pytest.mark.parametrize("size", [(40, 20), (20, 41), (9, 30), (12, 12)])
def test_other_sizes_are_scaled_and_cut_as_torchvision_does(tmp_path, make, size):
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            save(tmp_path / "sizes" / split / name / "0.png", np.resize(colours(5, 41), (size[1], size[0], 3)))
    image = read_photograph(tmp_path / "sizes/train/a/0.png")
    for resize in (None, 16):
        data = make(kind="folder", path=str(tmp_path / "sizes"), **({"resize_px": resize} if resize else {})).open()
        expected = functional.center_crop(functional.resize(image, resize or 12), [12, 12])
        assert np.array_equal(pixels_of(data, "train/a/0.png"), np.asarray(expected))
    stretched = make(kind="folder", path=str(tmp_path / "sizes"), fit="stretch").open()
    assert np.array_equal(pixels_of(stretched, "train/a/0.png"), np.asarray(functional.resize(image, [12, 12])))
    if size != (12, 12):
        with pytest.raises(UserError, match=rf"\.png: {size[0]}x{size[1]} px, but resolution_px is 12"):
            make(kind="folder", path=str(tmp_path / "sizes"), fit="exact")


def sixteen_bits(path: Path) -> None:
    Image.fromarray(colours(1)[..., 0].astype(np.uint16) << 8).save(path)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def transparent(path: Path) -> None:
    save(path, np.dstack([colours(1), np.full((12, 12), 128, np.uint8)]))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (sixteen_bits, "8 bits"),
        (cut_off, "not a readable image"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"<html>404"), "not a readable image"),
        (transparent, "transparent"),
    ],
)
def test_broken_pictures_are_refused_by_name_or_left_out_and_counted(pictures, make, spoil, says):
    spoil(pictures / "train/dog/3.png")
    with pytest.raises(UserError, match=rf"train/dog/3\.png: .*{says}.*broken: skip"):
        make(kind="folder", path=str(pictures))
    for shards in (1, 2):
        data = make(kind="folder", path=str(pictures), broken="skip", shards=shards).open()
        assert len(data) == 11 and "train/dog/3.png" not in names(data)
        assert data.notices == ("1 of 22 pictures cannot be read and were left out (train/dog/3.png)",)
        for instance in names(data):
            assert np.array_equal(pixels_of(data, instance), np.asarray(Image.open(pictures / instance))), instance


def test_a_class_of_broken_pictures_only_is_refused(pictures, make):
    for path in (pictures / "val/dog").iterdir():
        cut_off(path)
    made = make(kind="folder", path=str(pictures), broken="skip")
    with pytest.raises(UserError, match="no readable picture of class dog"):
        made.open("val")


def linked_out(root: Path) -> None:
    save(root.parent / "elsewhere.png", colours(1))
    (root / "train/cat/far.png").symlink_to(root.parent / "elsewhere.png")


def class_linked_out(root: Path) -> None:
    shutil.move(root / "train/cat", root.parent / "cats")
    (root / "train/cat").symlink_to(root.parent / "cats")


def dangling(root: Path) -> None:
    (root / "train/cat/gone.png").symlink_to("nowhere.png")


def in_a_circle(root: Path) -> None:
    (root / "train/cat/again").symlink_to(root / "train/cat")


def two_spellings(root: Path) -> None:
    for split, form in (("train", "NFC"), ("val", "NFD")):
        save(root / split / unicodedata.normalize(form, "é") / "a.png", colours(1))


def no_utf8(root: Path) -> None:
    shutil.copy(root / "train/cat/0.png", os.fsencode(root / "train/cat") + b"/\xff.png")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (linked_out, r"far\.png: a link out of"),
        (class_linked_out, "train/cat: a link out of"),
        (dangling, r"gone\.png: a link to nothing"),
        (in_a_circle, "more than 4 folders below a class, or a link to one above it"),
        (two_spellings, "written in two ways that look the same"),
        (no_utf8, "rename it in letters of UTF-8"),
        (lambda root: os.mkfifo(root / "train/cat/pipe.png"), r"pipe\.png: not a plain file"),
        (lambda root: (root / "train/emu").mkdir(), "no picture of class 'emu'; delete its folder"),
        (lambda root: save(root / "test/emu/0.png", colours(1)), r"1 class \(emu\) without a training image"),
        (lambda root: shutil.move(root / "train", root / "Train/"), None),
        (lambda root: (root / "validation").mkdir(), "'val' and 'validation' are the same split"),
        (lambda root: (root / "extras").mkdir(), "may be a split or a class, beside 'extras'; say which by layout"),
        (lambda root: shutil.rmtree(root / "train"), "may be a split or a class; say which by layout"),
        (lambda root: shutil.rmtree(root / "val/cat"), None),
        (lambda root: [shutil.rmtree(root / s / "cat") for s in ("train", "val", "test")], "two classes or more"),
        (shutil.rmtree, "path: no folder"),
    ],
)
def test_what_cannot_be_taken_as_it_is_is_refused_by_name(pictures, make, spoil, says):
    spoil(pictures)
    if says is None:
        made = make(kind="folder", path=str(pictures))
        assert len(made.open()) == 12 and len(made.open("val")) == 4 - 2 * (not (pictures / "val/cat").is_dir())
        return
    with pytest.raises(UserError, match=says):
        make(kind="folder", path=str(pictures))


def test_a_class_that_a_split_lacks_is_told_in_every_cell(pictures, make):
    shutil.rmtree(pictures / "test/cat")
    data = make(kind="folder", path=str(pictures)).open("test")
    assert data.classes == ("cat", "dog") and set(data.labels.tolist()) == {1}
    assert data.notices == ("1 class (cat) without an image in test",)


def test_classes_may_be_named_like_splits_where_the_layout_is_given(tmp_path, make):
    for name in ("train", "test", "boat"):
        for number in range(10):
            save(tmp_path / "vehicles" / name / f"{number}.png", colours(number))
    with pytest.raises(UserError, match="layout"):
        make(kind="folder", path=str(tmp_path / "vehicles"))
    data = make(kind="folder", path=str(tmp_path / "vehicles"), layout="classes").open()
    assert data.classes == ("boat", "test", "train") and len(data) == 24


def test_pictures_of_kinds_that_are_not_read_are_counted_in_every_cell(pictures, make):
    params = folder.Params(kind="folder", path=str(pictures), resolution_px=12)
    before = folder.identity(params)
    (pictures / "train/cat/a.heic").write_bytes(b"x")
    (pictures / "test/dog/b.JP2").write_bytes(b"x")
    assert folder.identity(params) != before
    made = make(kind="folder", path=str(pictures))
    for split, count in (("train", 12), ("test", 6)):
        (notice,) = made.open(split).notices
        assert len(made.open(split)) == count and notice.startswith("2 pictures left out, such as test/dog/b.JP2")


def test_identity_changes_with_names_sizes_and_times_of_pictures_only(pictures):
    params = folder.Params(kind="folder", path=str(pictures), resolution_px=12)
    seen = [folder.identity(params)]
    (pictures / "train/cat/notes.txt").write_text("x")
    assert folder.identity(params) == seen[0]
    (pictures / "train/cat/0.png").rename(pictures / "train/cat/9.png")
    seen.append(folder.identity(params))
    os.utime(pictures / "train/cat/9.png", (1, 1))
    seen.append(folder.identity(params))
    shutil.move(pictures / "train/cat/9.png", pictures / "val/cat/9.png")
    seen.append(folder.identity(params))
    assert len(set(seen)) == 4


def test_pictures_that_changed_since_planning_are_refused(pictures, make, tmp_path):
    made = make(kind="folder", path=str(pictures))
    os.utime(pictures / "train/cat/0.png", (1, 1))
    from robust3d.provenance.runner import Context
    from robust3d.stages import draw_set

    with pytest.raises(UserError, match="changed since this run was planned"):
        draw_set.run(Context(made.told, {}, {"table": tmp_path / "x"}, tmp_path, 1))


def test_a_damaged_file_of_pixels_is_named(pictures, make):
    made = make(kind="folder", path=str(pictures))
    file = made.inputs["images"][0].with_name("images.npy")
    assert np.load(file).shape == (22, 12, 12, 3)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"images\.npy: not the file of the manifest any more"):
        made.open()
    file.unlink()
    with pytest.raises(UserError, match=r"images\.npy: this file of images is missing"):
        made.open()
    entry = json.loads(made.inputs["images"][0].read_text())
    for broken in ("[]", "{}", "x", json.dumps(entry | {"format": "other"}), json.dumps(entry | {"images": None})):
        made.inputs["images"][0].write_text(broken)
        with pytest.raises(UserError, match="not a manifest of images"):
            made.open()


def test_depth_maps_are_cut_like_their_pictures(tmp_path, make):
    """Pictures whose red channel is their depth in centimetres, wider than high, so that `crop` cuts them."""
    for split, count in (("train", 3), ("val", 1), ("test", 1)):
        for name in ("cat", "dog"):
            for number in range(count):
                pixels = np.zeros((16, 24, 3), np.uint8)
                pixels[:, :, 0] = 100 + 4 * np.arange(24) + number  # a ramp: crops and scales differ
                save(tmp_path / "pictures" / split / name / f"{number}.png", pixels)
                depth = pixels[:, :, 0] / np.float32(100)
                depth[:, 12] = np.nan
                (tmp_path / "depth" / split / name).mkdir(parents=True, exist_ok=True)
                np.save(tmp_path / "depth" / split / name / f"{number}.npy", depth)
    told = {"kind": "folder", "path": str(tmp_path / "pictures"), "depth": {"path": str(tmp_path / "depth")}}
    for more in ({"resolution_px": 16}, {"resolution_px": 8, "shards": 2}, {"resolution_px": 8, "fit": "stretch"}):
        made = make(**told, **more)
        data = made.open(resident_bytes=0)
        depth, images = data.depths([4, 0, 4]), data.batch([4, 0, 4])
        assert depth.shape == (3, more["resolution_px"], more["resolution_px"])
        known = depth.isfinite()
        assert torch.equal(known[0], known[2]) and torch.equal(depth[0][known[0]], depth[2][known[0]])
        tolerance = 1e-3 if more["resolution_px"] == 16 else 6  # pictures are smoothed where they are scaled
        assert ((100 * depth - images[:, 0]).abs()[known] <= tolerance).all() and known.float().mean() > 0.8
        assert more != {"resolution_px": 16} or known.float().mean() == 15 / 16
        assert len(made.sources[0].read_text().splitlines()) > 10 // more.get("shards", 1)
    plain = make(kind="folder", path=told["path"], resolution_px=8)
    with pytest.raises(UserError, match="these images have no depth"):
        plain.open().depths([0])
    whole = make(**told, resolution_px=8).open()
    assert torch.equal(whole.all(), plain.open().all())


def test_depth_maps_that_do_not_fit_are_one_message(tmp_path, make):
    for name in ("cat", "dog"):
        for number in range(3):
            save(tmp_path / "pictures" / name / f"{number}.png", colours(number))
            (tmp_path / "depth" / name).mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / "depth" / name / f"{number}.npy", np.ones((12, 12), np.float32))
    told = {"kind": "folder", "path": str(tmp_path / "pictures"), "depth": {"path": str(tmp_path / "depth")}}
    before = folder.identity(folder.Params(resolution_px=12, **told))
    np.save(tmp_path / "depth" / "cat" / "1.npy", np.ones((12, 13), np.float32))
    assert folder.identity(folder.Params(resolution_px=12, **told)) != before
    with pytest.raises(UserError, match=r"cat/1\.npy: 13x12 px, but its picture has 12x12"):
        make(**told)
    assert make(**told, broken="skip").open("train").notices[0].startswith("1 of 6 pictures cannot be read")
    np.save(tmp_path / "depth" / "cat" / "1.npy", np.full((12, 12), np.nan, np.float32))
    with pytest.raises(UserError, match=r"cat/1\.npy: not one pixel with a known depth"):
        make(**told)
    (tmp_path / "depth" / "cat" / "1.npy").unlink()
    with pytest.raises(UserError, match=r"cat: no depth map 1\{"):
        make(**told)
