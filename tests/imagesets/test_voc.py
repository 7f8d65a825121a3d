"""PASCAL VOC from its folders: several classes a picture, and what is hard to recognise."""

import numpy as np
import pytest
import torch
from voc_folder import PICTURES, make, opened, params, shows

from robust3d.data.images import open_set
from robust3d.errors import UserError
from robust3d.imagesets import voc


def test_a_picture_shows_several_classes_and_is_counted_by_the_first(tmp_path):
    root = make(tmp_path / "root")
    for given in (root, root / "VOCdevkit/VOC2012"):
        classes, rows = voc.list_pictures(params(given), 0)
        assert len(classes) == 20 and classes[6] == "car" and (rows["split"] == "train").sum() == PICTURES
    rows = rows.set_index("instance")
    assert rows.loc["2008_000006", "shown"] == "11000000000000000000" and rows.loc["2008_000001", "class_name"] == "car"
    assert rows.loc["2008_000004", "shown"][:4] == "?0?0" and rows.loc["2008_000004", "class_name"] == "aeroplane"


def test_opened_it_has_a_row_of_classes_for_each_picture(tmp_path):
    root = make(tmp_path / "root")
    images, _ = opened(root, tmp_path, "test")
    assert (
        images.classes == voc.CLASSES and images.shown.shape == (PICTURES, 20) and images.shown.dtype == torch.float32
    )
    for place, name in enumerate(images.rows["instance"]):
        number = int(name[-3:]) - 100
        expected = [{1: 1.0, -1: 0.0, 0: np.nan}[shows(number, label)] for label in range(20)]
        assert np.array_equal(images.shown[place].numpy(), expected, equal_nan=True)
        assert abs(int(images.batch([place])[0, 0].float().mean()) - int(name[-3:])) <= 2  # its own picture
    part = images.part(torch.tensor([3, 1]))
    assert torch.equal(part.batch([0]), images.batch([3])) and part.rows["instance"][1] == images.rows["instance"][1]
    assert np.array_equal(part.shown[0].numpy(), images.shown[3].numpy(), equal_nan=True)


def test_who_needs_one_label_refuses_it(tmp_path):
    _, (given, inputs) = opened(make(tmp_path / "root"), tmp_path, "train")
    with pytest.raises(UserError, match="kind: voc: its pictures show several classes each, and this needs one label"):
        open_set(given, inputs, "train")


def test_what_is_wrong_is_said_once(tmp_path):
    with pytest.raises(UserError, match=r"path: no folder JPEGImages in .*VOCDetection"):
        voc.identity(params(tmp_path))
    root = make(tmp_path / "root")
    lists = root / "VOCdevkit/VOC2012/ImageSets/Main"
    before = voc.identity(params(root))
    (lists / "cow_val.txt").write_text("2008_000100 -1\n")
    assert voc.identity(params(root)) != before
    with pytest.raises(UserError, match=r"cow_val\.txt: other pictures than in aeroplane_val\.txt"):
        voc.list_pictures(params(root), 0)
    (lists / "cow_val.txt").write_text("2008_000100 2\n")
    with pytest.raises(UserError, match=r"cow_val\.txt, line 1: '2008_000100 2'"):
        voc.list_pictures(params(root), 0)
    (lists / "cow_val.txt").unlink()
    with pytest.raises(UserError, match=r"cow_val\.txt"):
        voc.list_pictures(params(root), 0)
    with pytest.raises(ValueError, match="label_order"):
        params(root, label_order=["cow", "dog"])
