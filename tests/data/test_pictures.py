"""Sheets of pictures: what is pasted where, and words that keep apart."""

import numpy as np
import pytest

from robust3d.data.pictures import sheet


def _image(value: int, side: int = 8) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def test_every_pixel_shows_as_a_square() -> None:
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    drawn = np.asarray(sheet([[image]], cell_px=24))
    enlarged = image.repeat(3, axis=0).repeat(3, axis=1)
    places = np.argwhere((drawn[:, :, None] == enlarged[0, 0]).all(-1))
    assert any(np.array_equal(drawn[y : y + 24, x : x + 24], enlarged) for y, x, _ in places)


@pytest.mark.parametrize("side", [8, 256])
def test_words_of_neighbours_do_not_touch(side: int) -> None:
    labels = ["an expanded handle with a long name", "a truncated pyramid of some size"]
    drawn = np.asarray(sheet([[_image(255, side), _image(255, side)]], cell_labels=[labels])).min(axis=(0, 2))
    apart = np.asarray(sheet([[_image(255, side), _image(255, side)]], cell_labels=[[labels[0], ""]])).min(axis=(0, 2))
    first = np.flatnonzero(apart < 255)
    second = np.setdiff1d(np.flatnonzero(drawn < 255), first)
    assert second.min() > first.max() + 2


def test_all_words_of_a_sheet_have_one_size() -> None:
    """A word is as wide and high wherever it stands and however little room an image leaves it."""

    def size(narrow: bool) -> tuple[int, int]:
        label = ["H"] if narrow else ["H" + " " * 60]
        ink = np.argwhere(np.asarray(sheet([[_image(255)]], cell_labels=[label])).min(axis=-1) < 128)
        return tuple(ink.max(axis=0) - ink.min(axis=0))

    assert size(narrow=True) == size(narrow=False)


def test_a_note_and_lines_below_each_other_get_their_room() -> None:
    plain = sheet([[_image(0)]], cell_labels=[["a"]])
    lines = sheet([[_image(0)]], cell_labels=[["a\nb"]])
    noted = sheet([[_image(0)]], cell_labels=[["a"]], note="two\nlines")
    assert plain.height < lines.height < noted.height
