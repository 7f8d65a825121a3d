"""Published layouts of robustness benchmarks, made small: folders of classes, of severities, and a table."""

import json

import numpy as np
import pytest
from PIL import Image

from robust3d.errors import UserError
from robust3d.imagesets import benchmark
from robust3d.parsing import parse


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 12, 3), value, np.uint8)).save(path)


def given(path, **more):
    return {"kind": "benchmark", "resolution_px": 8, "path": str(path), **more}


def drawn(path, **more):
    values = given(path, **more)
    table, _ = benchmark.draw(values, {}, 0)
    parse(benchmark.Params, values)
    return table


def test_folders_of_classes_are_all_test_images(tmp_path):
    for name in ("n02", "n01"):
        for number in range(3):
            picture(tmp_path / name / f"{number}.jpg")
    table = drawn(tmp_path)
    assert set(table["split"]) == {"test"} and len(table) == 6
    assert table["class_name"].tolist()[:2] == ["n01", "n02"] and "accepted" not in table
    assert len(drawn(tmp_path, images_per_class=2)) == 4
    assert drawn(tmp_path, label_order=["n02"])["class_index"].tolist() == [0, 0, 0]
    read = benchmark.picture_reader(parse(benchmark.Params, given(tmp_path)), 0)
    assert read(next(table.itertuples())).size == (12, 12)


def test_all_severities_of_a_corruption_are_one_set(tmp_path):
    for severity in range(1, 6):
        picture(tmp_path / str(severity) / "n01" / "a.jpg", severity)
    table = drawn(tmp_path, layout="severities")
    assert sorted(table["instance"]) == [f"{severity}/n01/a.jpg" for severity in range(1, 6)]
    with pytest.raises(UserError, match="folders 1 to 5 of severities are expected, and there are n01"):
        drawn(tmp_path / "1", layout="severities")


def test_a_table_chooses_pictures_by_their_factors(tmp_path):
    for number in range(3):
        picture(tmp_path / f"{number}.png")
    rows = ["filename,character_label,character_texture", "0.png,GoldFish,Default", "1.png,GoldFish,Grass",
            "2.png,Bear,Grass"]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\ufeff" + "\n".join(rows))
    (tmp_path / "classes.json").write_text(json.dumps({"GoldFish": [1], "Bear": [294, 295], "Cat": [281]}))
    more = {"layout": "table", "table": str(tmp_path / "labels.csv"), "class_list": str(tmp_path / "classes.json")}
    table = drawn(tmp_path, only={"character_texture": ["Grass"]}, **more)
    assert dict(zip(table["instance"], table["accepted"])) == {"1.png": "[1]", "2.png": "[294, 295]"}
    assert drawn(tmp_path, without={"character_texture": ["Default"]}, **more).equals(table)
    assert drawn(tmp_path, without={"character_label": ["Bear"]}, **more)["instance"].tolist() == ["1.png", "0.png"]
    with pytest.raises(UserError, match=r"labels\.csv: no column 'texture'; there are filename"):
        drawn(tmp_path, only={"texture": ["Grass"]}, **more)
    with pytest.raises(UserError, match=r"labels\.csv: no row is left by `only` and `without`.*Default"):
        drawn(tmp_path, only={"character_texture": ["Stone"]}, **more)


def test_lines_of_a_list_may_give_a_class_several_answers_and_numbers(tmp_path):
    """ImageNet has two classes called crane."""
    for name in ("crane", "tench"):
        picture(tmp_path / name / "a.png")
    (tmp_path / "classes.txt").write_text("crane n02012849\ncrane n03126707\n\ntench 0\n")
    table = drawn(tmp_path, class_list=str(tmp_path / "classes.txt"))
    accepted = dict(zip(table["class_name"], map(json.loads, table["accepted"])))
    assert accepted == {"crane": ["n02012849", "n03126707"], "tench": [0]}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["a.png,Bear", "b.png"], r"row 3: no filename or no character_label"),
        (["a.png,Bear", "a.png,Cat"], r"row 3: a\.png stands in row 2 too"),
    ],
)
def test_rows_of_a_table_that_cannot_be_right_are_named(tmp_path, rows, says):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (tmp_path / "labels.csv").write_text("\n".join(["filename,character_label", *rows]))
    with pytest.raises(UserError, match=says):
        drawn(tmp_path, layout="table", table=str(tmp_path / "labels.csv"))


def test_what_systems_leave_behind_is_no_severity(tmp_path):
    for place in ("1/n01/a.jpg", "__MACOSX/1/n01/._a.jpg", ".ipynb_checkpoints/a.jpg"):
        picture(tmp_path / place)
    assert drawn(tmp_path, layout="severities")["instance"].tolist() == ["1/n01/a.jpg"]


def test_a_list_of_classes_that_lacks_one_is_one_message(tmp_path):
    for name in ("goldfish", "shark"):
        picture(tmp_path / "pictures" / name / "a.png")
    listed = tmp_path / "list.txt"
    listed.write_text("goldfish n01443537\n")
    with pytest.raises(UserError, match=r"list\.txt: 1 of 2 classes of .* are not in it: shark"):
        drawn(tmp_path / "pictures", class_list=str(listed))
    listed.write_text("goldfish n01443537\nshark great white shark\n")
    table = drawn(tmp_path / "pictures", class_list=str(listed))
    assert table["accepted"].tolist() == ['["n01443537"]', '["great white shark"]']


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"layout": "table"}, "table: goes with layout: table"),
        ({"images": [5, 5, 5]}, "images: all pictures are test images"),
        ({"only": {"a": ["b"]}}, "only: chooses rows of a table"),
        ({"without": {"a": ["b"]}}, "without: chooses rows of a table"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(tmp_path, values, says):
    with pytest.raises(ValueError, match=says):
        parse(benchmark.Params, given(tmp_path, **values))


def test_the_identity_changes_with_pictures_and_with_the_list(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / "p" / name / "0.png")
    listed = tmp_path / "l.txt"
    listed.write_text("a x\nb y\n")
    params = parse(benchmark.Params, given(tmp_path / "p", class_list=str(listed)))
    first = benchmark.identity(params)
    assert benchmark.identity(params) == first
    listed.write_text("a y\nb x\n")
    second = benchmark.identity(params)
    picture(tmp_path / "p" / "a" / "1.png")
    assert len({first, second, benchmark.identity(params)}) == 3
