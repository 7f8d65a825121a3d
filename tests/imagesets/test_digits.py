"""The handwritten digits that come with the project."""

from types import SimpleNamespace

import numpy as np
import pytest

from robust3d import registry
from robust3d.errors import UserError
from robust3d.imagesets import digits

PARAMS = digits.Params(kind="digits", resolution_px=32, fit="stretch")


def pictures():
    """All of them (N, 8, 8), and the digits that they are said to show."""
    _, rows = digits.list_pictures(PARAMS, 0)
    read = digits.picture_reader(PARAMS, 0)
    return np.stack([read(row) for row in rows.itertuples(index=False)]), rows["class_name"].astype(int).to_numpy()


def test_there_are_as_many_of_each_digit_as_published():
    """Counts of the test set in the description at the UCI Machine Learning Repository."""
    found, labels = pictures()
    assert found.shape == (1797, 8, 8) and found.dtype == np.uint8
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_they_are_black_on_white_and_upright():
    """A one is a black column in the middle, a nought is a ring, and the bar of a seven is on top."""
    found, labels = pictures()
    ink = 255 - np.stack([found[labels == digit].mean(0) for digit in range(10)])
    assert found.max() == 255 and found.min() == 0 and np.median(found[:, :, 0]) == 255
    assert ink[1][:, 3:5].mean() > 2 * ink[1][:, [1, 6]].mean()
    assert ink[0][3:5, 3:5].mean() < 0.3 * ink[0][3:5, [2, 5]].mean()
    assert ink[7][:2].mean() > 1.3 * ink[7][-2:].mean()


def test_the_nearest_other_picture_shows_the_same_digit():
    """The labels belong to their pictures (leave one out)."""
    found, labels = pictures()
    flat = found.reshape(len(found), -1).astype(float)
    apart = (flat**2).sum(1)[:, None] + (flat**2).sum(1) - 2 * flat @ flat.T
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(1)] == labels).mean() > 0.98


def test_they_are_those_of_scikit_learn_where_it_is_installed():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    found, labels = pictures()
    assert np.array_equal(labels, theirs.target) and np.abs((255 - found) / 255 * 16 - theirs.images).max() < 0.04


def test_another_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "digits.csv.gz").write_bytes(b"other")
    monkeypatch.setattr(digits, "FILE", tmp_path / "digits.csv.gz")
    with pytest.raises(UserError, match=r"digits\.csv\.gz: not the file of digits"):
        digits.list_pictures(PARAMS, 0)
    assert "digits" in registry.names("set")


def test_a_reader_gives_the_picture_of_its_row():
    found, _ = pictures()
    assert np.array_equal(digits.picture_reader(PARAMS, 5)(SimpleNamespace(instance="0042")), found[42])
