"""NYU-Depth V2 in its folders: lists with pictures of which the red channel is their depth in decimetres."""

import numpy as np
import pytest
import torch
from image_files import save
from PIL import Image

from robust3d.errors import UserError
from robust3d.imagesets import nyu
from robust3d.parsing import parse

ROOMS = {"train": ("kitchen_0028b", "home_office_0004", "bathroom_0001"), "test": ("kitchen", "study")}


def write(root, split, room, number, start="", focal=" 518.8579"):
    """A picture and its map; the line of the list."""
    pixels = np.zeros((12, 16, 3), np.uint8)
    pixels[:, :, 0] = 10 + number + np.arange(16)
    folder = root / start / room
    save(folder / f"rgb_{number:05d}.png", pixels)
    depth = 100 * pixels[:, :, 0].astype(np.uint16)  # millimetres
    depth[:, 5] = 0
    Image.fromarray(depth).save(folder / f"sync_depth_{number:05d}.png")
    return f"/{room}/rgb_{number:05d}.png /{room}/sync_depth_{number:05d}.png{focal}"


@pytest.fixture
def rooms(tmp_path):
    root = tmp_path / "nyu"
    for split, names in ROOMS.items():
        lines = [write(root, split, room, number + 10 * (split == "test")) for room in names for number in range(4)]
        (root / f"nyu_{split}.txt").write_text("\n".join(lines) + "\n")
    return root


def test_depth_is_in_metres_at_the_pictures_place(rooms, make):
    made = make(kind="nyu", path=str(rooms), resolution_px=12, ratio=[5, 1, 1])
    found = {split: made.open(split) for split in ("train", "val", "test")}
    assert [len(images.labels) for images in found.values()] == [10, 2, 8]
    names = [set(images.rows["instance"]) for images in found.values()]
    assert not names[0] & names[1] and all("study" in name or "kitchen/" in name for name in names[2])
    assert set(found["test"].rows["class_name"]) == {"kitchen", "study"}
    assert set(found["train"].rows["class_name"]) | set(found["val"].rows["class_name"]) == {
        "kitchen", "home_office", "bathroom",
    }  # fmt: skip
    for images in found.values():
        depth, pixels = images.depths(torch.arange(len(images.labels))), images.all()
        known = depth.isfinite()
        assert known.float().mean() == pytest.approx(11 / 12)
        torch.testing.assert_close(depth[known], pixels[:, 0].float()[known] / 10)
    fewer = make(kind="nyu", path=str(rooms), resolution_px=12, ratio=[5, 1, 1], images=[3, 1, 2]).open()
    assert list(fewer.rows["instance"]) == list(found["train"].rows["instance"])[:3]
    names = list(found["test"].rows["instance"])
    assert names != sorted(names)  # so the first ones are not of one kind of room


def test_lists_may_start_from_folders_of_their_own(rooms, make):
    for split, start in (("train", "sync"), ("test", "official_splits/test")):
        lines = [write(rooms, split, "den_0001", number, start, "") for number in range(3)]
        (rooms / f"{split}.txt").write_text("\r\n".join(lines))  # without a focal length, from Windows
    told = {"train": "train.txt", "test": "test.txt", "train_folder": "sync", "test_folder": "official_splits/test"}
    made = make(kind="nyu", path=str(rooms), resolution_px=12, **told)
    assert set(made.open("test").rows["instance"]) == {
        f"official_splits/test/den_0001/rgb_0000{i}.png" for i in range(3)
    }
    assert len(made.open("train").rows) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/a/rgb.jpg", r"nyu_test\.txt, line 3: '/a/rgb.jpg' is not a picture, its depth map and a focal length"),
        ("/a/rgb.jpg None 518.8", r"line 3: /a/rgb.jpg has no depth map"),
        ("../a.jpg b.png", r"line 3: \.\./a\.jpg leads out of the folder"),
        ("/study/rgb_00010.png /study/sync_depth_00010.png", r"line 3: study/rgb_00010.png is already in .*nyu_test"),
        ("/kitchen_0028b/rgb_00000.png /kitchen_0028b/sync_depth_00000.png 5", r"is already in .*nyu_train"),
    ],
)
def test_a_line_that_is_none_is_named(rooms, line, words):
    path = rooms / "nyu_test.txt"
    content = path.read_text().splitlines()
    path.write_text("\n".join([*content[-4:-3], "", line, *content[1:3]]))
    with pytest.raises(UserError, match=words):
        nyu.identity(parse(nyu.Params, {"kind": "nyu", "path": str(rooms), "resolution_px": 12}))


def test_what_is_missing_is_named(rooms, tmp_path):
    def params(**more):
        return parse(nyu.Params, {"kind": "nyu", "path": str(rooms), "resolution_px": 12, **more})

    before = nyu.identity(params())
    (rooms / "study/sync_depth_00010.png").unlink()
    with pytest.raises(
        UserError, match=r"study/sync_depth_00010\.png: cannot be read: No such file or directory, but a list names it"
    ):
        nyu.identity(params())
    Image.fromarray(np.full((12, 16), 7, np.uint16)).save(rooms / "study/sync_depth_00010.png")
    assert nyu.identity(params()) != before
    with pytest.raises(UserError, match=r"train: no list .*nyu/none\.txt; each of its lines names a picture and"):
        nyu.identity(params(train="none.txt"))
    with pytest.raises(ValueError, match="label_order: rooms are not classified here"):
        params(label_order=["kitchen"])
    (rooms / "nyu_train.txt").write_text("\n\n")
    with pytest.raises(UserError, match=r"nyu_train\.txt: names no picture"):
        nyu.identity(params())


def test_more_pictures_than_there_are(rooms, make):
    with pytest.raises(UserError, match="images: 99 in test, but the lists have 8 there"):
        make(kind="nyu", path=str(rooms), resolution_px=12, images=[3, 1, 99])
