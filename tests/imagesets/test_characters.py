"""Sets of characters: drawn here, and Omniglot's from disk."""

from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from robust3d import registry
from robust3d.errors import UserError
from robust3d.imagesets import glyphs, omniglot
from robust3d.parsing import parse

SMALL = ("images_background_small1", "images_background_small2")


def glyph(seed=0, name="character0003", writer=0, **more):
    params = glyphs.Params(kind="glyphs", resolution_px=32, characters=5, **more)
    return glyphs.picture_reader(params, seed)(SimpleNamespace(class_name=name, instance=f"{name}-{writer:03d}"))


def test_a_character_is_black_on_white_and_depends_on_seed_class_and_writer_alone():
    picture = glyph()
    assert picture.shape == (32, 32) and picture.dtype == np.uint8
    assert 0.5 < (picture > 200).mean() < 0.99 and (picture < 50).any()
    assert np.array_equal(picture, glyph()) and np.array_equal(picture, glyph(writers=3))
    for other in (glyph(1), glyph(name="character0002"), glyph(writer=1)):
        assert not np.array_equal(picture, other)


def test_writers_of_one_character_are_more_alike_than_characters():
    """By the nearest other picture, blurred so that a small shift matters little."""
    labels = np.repeat(np.arange(8), 6)
    read = glyphs.picture_reader(glyphs.Params(kind="glyphs", resolution_px=32, characters=8, writers=6), 0)
    rows = [SimpleNamespace(class_name=f"character{k:04d}", instance=f"character{k:04d}-{w:03d}")
            for k in range(8) for w in range(6)]  # fmt: skip
    coarse = np.stack([read(row).reshape(8, 4, 8, 4).mean((1, 3)).ravel() for row in rows])
    apart = np.linalg.norm(coarse[:, None] - coarse, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(1)] == labels).mean() > 0.6  # chance: 5 of 47


@pytest.fixture
def folder(tmp_path):
    """Two alphabets in torchvision's folders, 1 bit a pixel, as Omniglot's files are."""
    for part, alphabet in (("images_background", "Latin"), ("images_evaluation", "Greek")):
        for number in (1, 2):
            place = tmp_path / "omniglot-py" / part / alphabet / f"character{number:02d}"
            place.mkdir(parents=True)
            for drawer in range(1, 4):
                image = Image.new("1", (105, 105), 1)
                image.putpixel((10 * number, 10 * drawer), 0)
                image.save(place / f"{number:04d}_{drawer:02d}.png")
    return tmp_path


def params(path, **more):
    return parse(omniglot.Params, {"kind": "omniglot", "resolution_px": 105, "path": str(path), **more})


def test_omniglot_is_read_from_torchvisions_folders_with_or_without_their_name(folder):
    for root in (folder, folder / "omniglot-py"):
        classes, rows = omniglot.list_pictures(params(root), 0)
        assert classes == ("Greek/character01", "Greek/character02", "Latin/character01", "Latin/character02")
        assert len(rows) == 12 and set(rows["split"]) == {"any"}
        row = next(rows[rows["instance"].str.endswith("Latin/character02/0002_03.png")].itertuples(index=False))
        picture = np.asarray(omniglot.picture_reader(params(root), 0)(row))
        assert picture.shape == (105, 105, 3) and np.argwhere(picture[..., 0] == 0).tolist() == [[30, 20]]
    before = omniglot.identity(params(folder))
    assert before == omniglot.identity(params(folder / "omniglot-py"))
    (folder / "omniglot-py/images_background/Latin/character01/0001_01.png").unlink()
    assert omniglot.identity(params(folder)) != before


def test_what_is_missing_is_said_once(folder):
    with pytest.raises(UserError, match=r"no folder images_background_small1 in .*; unpack images_background_small1"):
        omniglot.list_pictures(params(folder, archives=[SMALL[0]]), 0)
    place = folder / "omniglot-py/images_background"
    (place / "Greek").mkdir()
    with pytest.raises(UserError, match=r"archives: Greek is in images_background and in images_evaluation"):
        (place / "Greek/a").mkdir()
        (place / "Greek/a/1.png").touch()
        omniglot.list_pictures(params(folder), 0)
    (place / "Latin/character03").mkdir()
    with pytest.raises(UserError, match=r"character03: no picture"):
        omniglot.list_pictures(params(folder, archives=["images_background"]), 0)


def test_the_published_small_sets(tmp_path):
    beside = (p / "shared/data/omniglot" for p in Path(__file__).parents)
    archives = next((path for path in beside if path.is_dir()), None)
    if archives is None:
        pytest.skip("no shared/data/omniglot beside the project")
    for part in SMALL:
        with ZipFile(archives / f"{part}.zip") as archive:
            archive.extractall(tmp_path / "omniglot-py")
    counts = {}
    for part in SMALL:
        classes, rows = omniglot.list_pictures(params(tmp_path, archives=[part]), 0)
        counts[part] = (len(classes), len({name.split("/")[0] for name in classes}), len(rows) / len(classes))
        read = omniglot.picture_reader(params(tmp_path, archives=[part]), 0)
        assert np.asarray(read(rows.iloc[7])).shape == (105, 105, 3)
    assert counts == {SMALL[0]: (136, 5, 20.0), SMALL[1]: (156, 5, 20.0)}  # characters, alphabets, drawers
    with pytest.raises(UserError, match=r"archives: .* is in images_background_small1 and in images_background_small2"):
        omniglot.list_pictures(params(tmp_path, archives=list(SMALL)), 0)


def test_both_are_kinds_of_sets():
    assert {"glyphs", "omniglot"} <= set(registry.names("set"))
