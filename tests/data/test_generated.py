"""Files of generated volumes."""

import h5py
import numpy as np
import pytest

from robust3d.data.generated import JOINT, read_generated, write_generated
from robust3d.errors import UserError

FACTS = {"method": "noise", "category": None, "seed": 3, "collapse": None, "notices": ["n"], "training": {"a": [1, 2]}}


def test_what_is_written_is_read(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 1, 6, 6, 6))
    for name in ("a.h5", "b.h5"):
        write_generated(tmp_path / name, values, [0, 1, 1, JOINT, 0], ("chair", "bed"), [7] * 5, 0.3, **FACTS, passes=9)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    found = read_generated(tmp_path / "a.h5")
    assert (found.volumes() == (values[:, 0] > 0.3)).all() and found.volumes(np.array([4])).shape == (1, 6, 6, 6)
    assert found.labels.tolist() == [0, 1, 1, -1, 0] and found.iterations.tolist() == [7] * 5
    assert (found.classes, found.resolution, found.threshold) == (("chair", "bed"), 6, 0.3)
    assert found.facts == FACTS | {"passes": 9} and len(found) == 5
    write_generated(tmp_path / "c.h5", values > 0, [0] * 5, ("chair",), **FACTS)  # already binary
    assert (read_generated(tmp_path / "c.h5").volumes() == (values[:, 0] > 0)).all()
    assert (read_generated(tmp_path / "c.h5").iterations == -1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"volumes": np.zeros((2, 3, 3, 4))}, "shape"),
        ({"volumes": np.zeros((2, 2, 2))}, "shape"),
        ({"volumes": np.zeros((0, 3, 3, 3)), "labels": []}, "shape"),
        ({"volumes": np.zeros((2, 2, 3, 3, 3))}, "shape"),
        ({"volumes": np.full((2, 3, 3, 3), np.nan)}, "not finite"),
        ({"labels": [0]}, "labels"),
        ({"labels": [0, 2]}, "labels from 0 to 2 of 2 classes"),
        ({"labels": [0, -2]}, "labels from -2"),
        ({"iterations": [1]}, "iterations"),
    ],
)
def test_other_content_is_refused(tmp_path, changes, message):
    values = {"volumes": np.zeros((2, 3, 3, 3)), "labels": [0, 1], "classes": ("a", "b")} | changes
    with pytest.raises(ValueError, match=message):
        write_generated(tmp_path / "x.h5", **values, **FACTS)
    assert not (tmp_path / "x.h5").exists()


def test_every_fact_is_asked_for(tmp_path):
    facts = {name: value for name, value in FACTS.items() if name != "collapse"}
    with pytest.raises(ValueError, match="collapse"):
        write_generated(tmp_path / "x.h5", np.zeros((1, 2, 2, 2)), [0], ("a",), **facts)


def test_a_file_that_is_no_such_file_is_one_message(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(UserError, match="no such file"):
        read_generated(path)
    path.write_bytes(b"text")
    with pytest.raises(UserError, match=r"x\.h5: damaged"):
        read_generated(path)
    with h5py.File(path, "w") as file:
        file["voxels"] = np.zeros(3)
    with pytest.raises(UserError, match="not one of generated volumes"):
        read_generated(path)
    write_generated(path, np.zeros((2, 3, 3, 3)), [0, 0], ("a",), **FACTS)
    with h5py.File(path, "a") as file:
        del file["label"]
        file["label"] = np.zeros(1, np.int64)
    with pytest.raises(UserError, match="different lengths"):
        read_generated(path)
