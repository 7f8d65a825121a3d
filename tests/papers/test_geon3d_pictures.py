"""Pictures of the main paper: pixels stay squares of one size, words are whole, objects are named."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from robust3d.data.pictures import draw_pairs
from robust3d.data.published.inventory import Credit, Entry, Inventory
from robust3d.papers.geon3d import figure10, objects
from robust3d.papers.geon3d.figure3 import enlarged


@pytest.mark.parametrize("side", [28, 32, 96, 100])
def test_pixels_of_examples_become_squares_of_one_size(side):
    image = np.random.default_rng(0).integers(0, 255, (1, side, side, 3), dtype=np.uint8)
    drawn = enlarged(image, 100)[0]
    factor = 100 // side
    at = (100 - factor * side) // 2
    inner = drawn[at : at + factor * side, at : at + factor * side]
    assert drawn.shape == (100, 100, 3) and (drawn == 255).all(-1).sum() >= 100**2 - (factor * side) ** 2
    np.testing.assert_array_equal(inner.reshape(side, factor, side, factor, 3)[:, -1, :, -1], image[0])


def test_a_title_longer_than_the_pictures_is_whole(tmp_path):
    """And every method's picture is there as it is, below its title."""
    truth, ours = np.full((2, 2, 32, 32, 3), [[[[[10, 90, 30]]]], [[[[200, 20, 60]]]]], np.uint8)
    draw_pairs(truth, ours, tmp_path / "one.png")
    words = ["a", "a title that is far longer than two small pictures beside each other are wide " * 3]
    pictures = [{"label": "AE", "output": one, "reconstructions": "one"} for one in words]
    (tmp_path / "one.json").write_text('{"resolution_px": 32}')
    job = SimpleNamespace(
        params={"pictures": pictures},
        named=lambda kind, name: tmp_path / f"{name}.{'json' if kind == 'info' else 'png'}",
        outputs={"picture": tmp_path / "all.png"},
    )
    figure10.write(job)
    one, drawn = (np.array(Image.open(tmp_path / name).convert("RGB")) for name in ("one.png", "all.png"))
    heights = np.flatnonzero((drawn == truth[0, 0, 0]).all(-1).any(1))
    assert len(heights) == 2 * 96 and drawn.shape[0] > 2 * one.shape[0]
    ink = np.flatnonzero((drawn.min(-1) < 255).any(0))
    assert ink.max() < drawn.shape[1] - 1 and drawn.shape[1] > one.shape[1]


def test_objects_bear_name_id_and_twins():
    """The id as the lists have it, in lines about as wide as a picture."""
    credit, key = Credit("A chair with a name of some more words", "Ann", "CC0", "Cat"), "Cat#" + "long" * 10
    entries = {key: Entry("Cat.sh3f", 1, group="pair", credit=credit), "b": Entry("b", 1)}
    words = objects._words(Inventory("sweethome3d", {"chair": entries}))
    assert words["chair.b"] == "b"
    first, second, *rest, last = words[f"chair.{key}"].split("\n")
    assert f"{first} {second}" == credit.name and "".join(rest) == key and last == "twins: pair"
    assert max(map(len, [first, second, *rest])) <= 30
