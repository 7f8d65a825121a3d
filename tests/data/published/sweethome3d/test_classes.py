"""The project's lists of real objects, and, where the package is installed, what is behind them."""

import itertools
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from robust3d.data.params import SplitParams
from robust3d.data.published.identity import take
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.members import name_of, split_groups
from robust3d.data.published.params import REAL_OBJECTS, SweetHome3DParams
from robust3d.data.published.sweethome3d.lists import known_classes, read_lists
from robust3d.families import sweethome3d

PACKAGE = Path(SweetHome3DParams().path)
installed = pytest.mark.skipif(not PACKAGE.is_dir(), reason=f"{PACKAGE}: the package is not installed")


def test_every_class_has_ten_objects_and_shares_none():
    lists = read_lists(REAL_OBJECTS, {})  # refuses an object of two classes
    assert set(lists) == set(known_classes()) and len(lists) >= 8
    assert all(len(objects) >= 10 for objects in lists.values())
    groups = [(name, listed.group) for name, objects in lists.items() for listed in objects if listed.group]
    assert len({group for _, group in groups}) == len(set(groups)), "a group of twins is of one class"
    assert all(groups.count(group) > 1 for group in groups), "a twin has another"


def test_every_class_is_divided_well_whatever_the_seed():
    """The studies of real objects ask for the views of so many objects of each class."""
    lists = read_lists(REAL_OBJECTS, {})
    inventory = Inventory(
        "sweethome3d",
        {name: {o.key: Entry("", 0, group=o.group) for o in objects} for name, objects in lists.items()},
    )
    names = [name_of(label, key) for label, entries in inventory.classes.items() for key in entries]
    for seed in range(10):
        parts = split_groups(inventory, SplitParams(ratio=(3, 1, 1), mode="orbit"), seed, names)
        for label in lists:
            sizes = [sum(name.startswith(f"{label}.") for name in part) for part in parts.values()]
            assert sizes[0] >= 6 and min(sizes[1:]) >= 2, f"{label}, seed {seed}: {sizes}"


@installed
def test_inventory_of_the_package():
    inventory = take(sweethome3d, SweetHome3DParams())
    assert inventory.objects == sum(map(len, read_lists(REAL_OBJECTS, {}).values())) >= 250
    credits = [entry.credit for entries in inventory.classes.values() for entry in entries.values()]
    assert all(credit.creator and credit.licence for credit in credits)
    assert {credit.collection for credit in credits} == {path.stem for path in PACKAGE.glob("*.sh3f")}


@installed
def test_catalogues_hold_820_objects_that_are_all_told():
    from robust3d.data.published.sweethome3d.catalogues import open_catalogue

    found = [
        catalogue.furniture(key) for catalogue in map(open_catalogue, PACKAGE.glob("*.sh3f")) for key in catalogue.ids
    ]
    assert len(found) == 820
    assert sum(not np.array_equal(furniture.turn, np.eye(3)) for furniture in found) == 33


@installed
@pytest.mark.slow
def test_no_two_objects_of_one_shape_are_on_two_sides():
    """Shapes are compared by the distances of vertices to their mean, which neither colour, place nor size change."""
    inventory = sweethome3d.take_inventory(SweetHome3DParams())
    shapes = {}
    for label, entries in inventory.classes.items():
        for key, entry in entries.items():
            shapes[name_of(label, key)] = (label, entry.group, *signature(PACKAGE / entry.path, key))
    for (one, a), (other, b) in itertools.combinations(shapes.items(), 2):
        alike = np.abs(a[3] - b[3]).max() < 0.02 and min(a[2], b[2]) > 300
        deformed = a[0] == b[0] and a[2] == b[2] > 500  # the same mesh in another pose
        if alike or deformed:
            assert a[:2] == b[:2] and a[1], f"{one} and {other} have one shape"
    parts = split_groups(inventory, SplitParams(ratio=(3, 1, 1), mode="orbit"), 0, list(shapes))
    side = {name: split for split, names in parts.items() for name in names}
    groups = {}
    for name, (label, group, *_) in shapes.items():
        if group:
            groups.setdefault((label, group), set()).add(side[name])
    assert groups and all(len(sides) == 1 for sides in groups.values())


def signature(path, key):
    """(distinct vertices, 21 quantiles of their distances to the mean) of an object, by a reader of its own."""
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("FurnitureCatalog.properties")]
        told = dict(re.findall(r"^(\w+#\d+)=(.*?)\s*$", archive.read(name).decode("latin-1"), re.MULTILINE))
        (number,) = [field[3:] for field, value in told.items() if field.startswith("id#") and value == key]
        text = archive.read(told[f"model#{number}"].lstrip("/")).decode("latin-1")
    vertices = np.array([line.split()[1:4] for line in text.splitlines() if line.startswith("v ")], float)
    vertices = np.unique(vertices.round(6), axis=0)
    distances = np.linalg.norm(vertices - vertices.mean(axis=0), axis=1)
    return len(vertices), np.quantile(distances / distances.max(), np.linspace(0, 1, 21))
