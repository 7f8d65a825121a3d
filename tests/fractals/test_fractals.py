"""Fractals against closed forms and FractalDB's published categories."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from robust3d.errors import UserError
from robust3d.fractals.drawing import draw_patches, draw_points
from robust3d.fractals.ifs import System, filled, search
from robust3d.imagesets import fractaldb, fractals

SIERPINSKI = np.array([[0.5, 0, 0, 0.5, e, f] for e, f in ((0, 0), (0.5, 0), (0, 0.5))])


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = next(
        (p / "shared/data/fractaldb_ifs" for p in Path(__file__).parents if (p / "shared/data").is_dir()), None
    )
    if folder is None or not folder.is_dir():
        pytest.skip("no shared/data/fractaldb_ifs beside the project")
    with zipfile.ZipFile(folder / "csv_rate0.2_category1000.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".csv"))[::16][:60]
        archive.extractall(root := tmp_path_factory.mktemp("ifs"), names)
    return root, folder / "weights"


def test_points_of_the_triangle_lie_in_it_with_the_right_mean_and_growth():
    system = System.of(SIERPINSKI, np.full(3, 1 / 3), "triangle")
    points = system.points(50_000, np.random.default_rng(0))
    assert points.shape == (50_000, 2) and (points >= -1e-9).all() and (points.sum(1) <= 1 + 1e-9).all()
    assert points.mean(0) == pytest.approx([1 / 3, 1 / 3], abs=0.01)
    inner = (points > 0.01).all(1) & (points < 0.49).all(1) & (points.sum(1) > 0.51)
    assert not inner.any()  # the hole in the middle
    assert system.exponent() == pytest.approx(np.log(0.5))


def test_published_categories_fill_what_they_were_chosen_for(published):
    shares = [
        filled(fractaldb.read_system(path).points(100_000, np.random.default_rng(0)))
        for path in sorted(published[0].rglob("*.csv"))
    ]
    assert len(shares) == 60 and np.mean([0.19 <= share <= 0.30 for share in shares]) >= 0.95


def test_variants_are_the_published_weights(published):
    weights = np.loadtxt(published[1] / "weights_0.4.csv", delimiter=",")
    weights = weights[(weights != 1).any(1)]  # one is the category itself
    system = System.of(np.ones((1, 6)), [1], "ones")
    ours = np.array([system.weighted(variant, 0.4).maps[0] for variant in range(1, 25)])
    assert len(weights) == 24 and np.allclose(ours, weights)


def test_a_category_has_1000_pictures_and_none_is_constant(published):
    chosen = tuple(sorted(path.stem for path in published[0].rglob("*.csv"))[:12])
    settings = {"resolution_px": 64, "points": 20_000, "label_order": chosen}
    params = fractaldb.Params(kind="fractaldb", path=str(published[0]), **settings)
    classes, rows = fractaldb.list_pictures(params, 0)
    assert len(classes) == 60 and (rows.groupby("class_name").size() == 1000).all() and rows["instance"].is_unique
    own = rows["instance"].str.contains("own").mean()
    assert 0.01 < own < 0.15  # 6 % were measured to run away
    read = fractaldb.picture_reader(params, 0)
    for row in rows.iloc[::1511].itertuples():
        picture = read(row)
        assert picture.shape == (64, 64) and 0 < (picture > 0).mean() < 0.9


def test_a_picture_depends_on_seed_class_and_instance_alone():
    settings = {"kind": "fractals", "resolution_px": 48, "points": 3000, "patterns": 2, "fill": 0.02}
    small, large = (fractals.Params(categories=count, **settings) for count in (2, 3))
    rows = fractals.list_pictures(small, 1)[1]
    more = fractals.list_pictures(large, 1)[1]
    assert set(rows["instance"]) < set(more["instance"])
    row = rows.iloc[133]
    ours = fractals.picture_reader(small, 1)(row)
    other = fractals.picture_reader(large, 1)
    other(rows.iloc[7])
    assert (ours == other(row)).all() and (ours != fractals.picture_reader(small, 2)(row)).any()
    flips = [other(SimpleNamespace(instance=f"00000-v00-p0-f{flip}")) for flip in range(4)]
    assert (flips[1] == flips[0][:, ::-1]).all() and (flips[3] == flips[0][::-1, ::-1]).all()


def test_a_searched_category_fills_its_share():
    assert filled(search(0, 3).points(100_000, np.random.default_rng(9))) > 0.19


def test_patches_cover_points_and_one_pattern_is_the_same_everywhere():
    points = np.array([[0.0, 0], [1, 1], [0.5, 0.5]])
    plain = draw_points(points, 40)
    assert (plain > 0).sum() == 3 and plain[6, 6] == plain[34, 34] == 127
    one = draw_patches(points, 40, np.random.default_rng(1), each=False)
    assert (one[5:8, 5:8] == one[33:36, 33:36]).all() and one.any()
    many = draw_patches(np.repeat(points, 400, 0), 40, np.random.default_rng(1))
    assert (many[5:8, 5:8] == 127).all() and (many > 0).sum() == 27


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "00000.csv: no map in it"),
        ("1,0,0,1,0,nan,1\n", "00000.csv: map 1 has a value that is not finite"),
        ("1,0,0,1,0,0\n", "00000.csv: line 1 has not seven values"),
        ("1,0,0,1,0,x,1\n", "00000.csv: a value is not a number"),
        ("1,0,0,1,0,0,0.5\n", r"probabilities are not positive with the sum 1, but 0\.5"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, says):
    (tmp_path / "00000.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        fractaldb.list_pictures(fractaldb.Params(kind="fractaldb", path=str(tmp_path), resolution_px=64), 0)


def test_a_folder_without_categories_is_named(tmp_path):
    with pytest.raises(UserError, match="no category file"):
        fractaldb.identity(fractaldb.Params(kind="fractaldb", path=str(tmp_path), resolution_px=64))
