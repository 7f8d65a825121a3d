"""Objects out of catalogues: sizes, rotations, ids, creators, and what is refused by name."""

import re

import numpy as np
import pytest
from boxes import box, furniture

from robust3d.data.params import SplitParams
from robust3d.data.published.identity import take
from robust3d.data.published.inventory import Inventory, Missing
from robust3d.data.published.members import name_of, split_groups
from robust3d.data.published.params import SweetHome3DParams
from robust3d.errors import UserError
from robust3d.families import sweethome3d

TURN = "1 0 0 0 0 1 0 -1 0"  # z up to y up, as seven objects of the real catalogues have it


@pytest.fixture
def made(tmp_path, catalogue):
    """A catalogue of two boxes, a list of them, and parameters that read both."""
    lines = [furniture(1, "S#a", name="Caf\\u00e9"), furniture(2, "S#b", modelRotation=TURN, creator="B\u00e9a")]
    catalogue(lines, {1: box(2, 3, 4), 2: box(1, 1, 1, z_up=True)})
    (tmp_path / "boxes.txt").write_text("# boxes\nSmall | S#a | Café | Ann |\nSmall | S#b | Box | x | pair\n")
    return SweetHome3DParams(path=str(tmp_path), classes=("box",), lists={"box": str(tmp_path / "boxes.txt")})


def test_inventory(made, tmp_path):
    inventory = take(sweethome3d, made)
    entry = inventory.classes["box"]["S#b"]
    assert (entry.path, entry.member, entry.group) == ("Small.sh3f", "S#b", "pair")
    assert entry.credit == ("Box", "Béa", "CC0", "Small")
    assert inventory.classes["box"]["S#a"].credit.name == "Café"
    assert Inventory.from_json(inventory.to_json()) == inventory
    (tmp_path / "boxes.txt").write_text("Small | S#a | Café | Ann |\n")
    assert take(sweethome3d, made).identity != inventory.identity, "a corrected list is another inventory"


def test_creators_and_licences_are_one_line_each_and_an_object_may_have_its_own(tmp_path, catalogue, made):
    catalogue([furniture(1, "S#a", creator="Ann\\n\\u0007 Lee", license="CC BY\\t3.0")], {1: box(1, 1, 1)})
    (tmp_path / "boxes.txt").write_text("Small | S#a | Box | Ann |\n")
    assert sweethome3d.take_inventory(made).classes["box"]["S#a"].credit == ("Box", "Ann Lee", "CC BY 3.0", "Small")


def test_size_and_rotation(made):
    """A box of 20 x 30 x 40 cm, whatever units and axes the mesh has: sides 0.5 : 0.75 : 1."""
    for key in ("S#a", "S#b"):
        mesh = sweethome3d.read_mesh(made, sweethome3d.take_inventory(made).classes["box"][key])
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        np.testing.assert_allclose(high - low, [0.5, 0.75, 1.0], atol=1e-9)
        np.testing.assert_allclose(high + low, 0, atol=1e-9)


def test_z_up_is_turned_upright(tmp_path, catalogue, made):
    """A wedge whose tip is at z = 1 in the file has its tip at y = 1."""
    wedge = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"
    catalogue([furniture(1, "S#b", modelRotation=TURN, width=30, depth=30)], {1: wedge})
    (tmp_path / "boxes.txt").write_text("Small | S#b | Box | x |\n")
    mesh = sweethome3d.read_mesh(made, sweethome3d.take_inventory(made).classes["box"]["S#b"])
    top = mesh.vertices[mesh.vertices[:, 1] > 0.4]
    assert len(np.unique(top.round(6), axis=0)) == 1


def test_metric(made, tmp_path):
    metric = made.model_copy(update={"size": "metric", "cube_m": 2.0})
    mesh = sweethome3d.read_mesh(metric, sweethome3d.take_inventory(metric).classes["box"]["S#a"])
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [0.1, 0.15, 0.2], atol=1e-9)
    with pytest.raises(UserError, match=r"cube_m: S#a .* needs a cube of 0.40 m"):
        sweethome3d.take_inventory(made.model_copy(update={"size": "metric", "cube_m": 0.3}))


def test_long_objects_fit_the_camera(tmp_path, catalogue, made):
    """Three equal sides: the diagonal counts, 1.4, not the side."""
    catalogue([furniture(1, "S#a", name="Café", width=50, height=50, depth=50)], {1: box(1, 1, 1)})
    (tmp_path / "boxes.txt").write_text("Small | S#a | Café | Ann |\n")
    mesh = sweethome3d.read_mesh(made, sweethome3d.take_inventory(made).classes["box"]["S#a"])
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), 1.4 / np.sqrt(3), atol=1e-9)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"width": "0"}, r"width#1=0: a length in cm"),
        ({"width": "nan"}, r"width#1='nan': a number is expected"),
        ({"height": None}, r"height#1='': a number is expected"),
        ({"depth": "1 2"}, r"depth#1='1 2': a number"),
        ({"modelRotation": "1 0 0"}, r"modelRotation#1='1 0 0': 9 numbers"),
        ({"modelRotation": "2 0 0 0 1 0 0 0 1"}, r"modelRotation#1: nine numbers that are no rotation"),
        ({"modelRotation": "-1 0 0 0 1 0 0 0 1"}, r"modelRotation#1: nine numbers that are no rotation"),
        ({"model": "http://example.org/a.obj.zip"}, r"model#1=.*only \.obj"),
        ({"model": "/m/9/9.obj"}, r"m/9/9.obj: there is no such file"),
        ({"model": "/../../etc/passwd.obj"}, r"there is no such file"),
        ({"name": "Other"}, r"S#a is called 'Other', in the list of its class 'Box'"),
        ({"name": ""}, r"name#1='': a text is expected"),
    ],
)
def test_what_a_catalogue_says_wrong_is_named(tmp_path, catalogue, made, told, says):
    path = catalogue([furniture(1, "S#a", **told)], {1: box(1, 1, 1)})
    (tmp_path / "boxes.txt").write_text("Small | S#a | Box | Ann |\n")
    with pytest.raises(UserError, match=says) as error:
        sweethome3d.take_inventory(made)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("model", ["/m/my 1/my 1.obj", "/m/my%201/my%201.obj", "/M/My 1/MY 1.OBJ"])
def test_models_may_be_encoded_or_in_other_capitals(tmp_path, catalogue, made, model):
    path = catalogue([furniture(1, "S#a", model=model)], {"my 1": box(1, 2, 4)})
    (tmp_path / "boxes.txt").write_text("Small | S#a | Box | Ann |\n")
    entry = sweethome3d.take_inventory(made).classes["box"]["S#a"]
    assert entry.bytes == len(box(1, 2, 4)) and path.exists()
    assert len(sweethome3d.read_mesh(made, entry).faces) == 12


def test_a_fault_of_an_object_that_is_not_listed_does_no_harm(tmp_path, catalogue, made):
    catalogue([furniture(1, "S#a"), furniture(2, "S#x", width="none")], {1: box(1, 1, 1)})
    (tmp_path / "boxes.txt").write_text("Small | S#a | Box | Ann |\n")
    assert list(sweethome3d.take_inventory(made).classes["box"]) == ["S#a"]


def test_catalogues_without_a_list_or_with_two_ids_alike(catalogue, made):
    catalogue([], {}, list_name="other.properties")
    with pytest.raises(UserError, match=r"Small.sh3f: 0 files in it are called"):
        sweethome3d.take_inventory(made)
    catalogue([furniture(1, "S#a"), furniture(2, "S#a")], {})
    with pytest.raises(UserError, match=r"two objects have the id 'S#a'"):
        sweethome3d.take_inventory(made)


def test_missing_objects(tmp_path, made):
    (tmp_path / "boxes.txt").write_text("Small | S#a | Café | Ann |\nSmall | S#gone | Box | Ann |\n")
    with pytest.raises(Missing, match=r"box/S#gone"):
        sweethome3d.take_inventory(made)
    found = sweethome3d.take_inventory(made.model_copy(update={"missing": "skip"}))
    assert found.missing == {"box": ("S#gone",)} and list(found.classes["box"]) == ["S#a"]


@pytest.mark.parametrize("update", [{"path": "/nowhere/furniture"}, {}])
def test_where_the_catalogues_are_missing_both_ways_are_told(tmp_path, made, update):
    (tmp_path / "boxes.txt").write_text("Other | S#a | Box | Ann |\n")
    with pytest.raises(Missing) as error:
        sweethome3d.take_inventory(made.model_copy(update=update))
    assert "apt-get install sweethome3d-furniture" in str(error.value) and "set the family's key path" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no object"),
        ("Small | S#a\n", "line 1: expected catalogue | id"),
        ("\nSmall | S#a | Box | Ann |\nSmall | S#a | Box | Ann |\n", "line 3: S#a stands there twice"),
        ("Small | ../a | Box | Ann |\n", "'../a' is not an object id"),
        ("../Small | S#a | Box | Ann |\n", "'../Small' is not an object id"),
    ],
)
def test_lists_that_are_wrong(tmp_path, made, text, says):
    (tmp_path / "boxes.txt").write_text(text)
    with pytest.raises(UserError, match=re.escape(says)):
        sweethome3d.take_inventory(made)


def test_an_object_of_two_classes_is_refused(tmp_path, made):
    own = {"box": str(tmp_path / "boxes.txt"), "crate": str(tmp_path / "crates.txt")}
    (tmp_path / "crates.txt").write_text("Small | S#b | Box | x |\n")
    with pytest.raises(UserError, match=r"crates.txt: S#b stands in .*boxes.txt too"):
        sweethome3d.take_inventory(made.model_copy(update={"classes": ("box", "crate"), "lists": own}))
    with pytest.raises(UserError, match=r"no list for 'spoon'.*table"):
        sweethome3d.take_inventory(made.model_copy(update={"classes": ("spoon",)}))


def test_parameters_of_one_class_can_be_read_again(made):
    both = made.model_copy(update={"classes": ("box", "table")})
    assert sweethome3d.only(both, "table").lists == {} and sweethome3d.only(both, "box") == made


def test_twins_stay_together(tmp_path, catalogue, made):
    """Twelve objects, four of them twins, in two classes: each class has all three parts, the twins one."""
    lines = [furniture(n, f"S#{n}") for n in range(24)]
    catalogue(lines, {n: box(1, 1, 1) for n in range(24)})
    for offset, name in ((0, "boxes"), (12, "crates")):
        text = [f"Small | S#{n + offset} | Box | Ann | {'twins' if n < 4 else ''}" for n in range(12)]
        (tmp_path / f"{name}.txt").write_text("\n".join(text))
    own = {"box": str(tmp_path / "boxes.txt"), "crate": str(tmp_path / "crates.txt")}
    inventory = sweethome3d.take_inventory(made.model_copy(update={"classes": ("box", "crate"), "lists": own}))
    names = [name_of(label, key) for label, entries in inventory.classes.items() for key in entries]
    divisions = set()
    for seed in range(20):
        parts = split_groups(inventory, SplitParams(ratio=(3, 1, 1), mode="orbit"), seed, names)
        assert sorted(name for part in parts.values() for name in part) == sorted(names)
        for label, offset in (("box", 0), ("crate", 12)):
            sizes = [sum(name.startswith(f"{label}.") for name in part) for part in parts.values()]
            assert sum(sizes) == 12 and min(sizes) >= 1
            twins = {name_of(label, f"S#{n + offset}") for n in range(4)}
            assert sum(bool(twins & part) for part in parts.values()) == 1
        divisions.add(tuple(sorted(parts["test"])))
    assert len(divisions) > 10, "the seed decides"
    with pytest.raises(UserError, match=r"1 group\(s\) of near-duplicates of class box"):
        twins = [name_of("box", f"S#{n}") for n in range(4)]
        split_groups(inventory, SplitParams(mode="orbit"), 0, twins)
