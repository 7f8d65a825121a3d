"""A name that is no target is answered with the closest ones."""

import pytest

from robust3d.errors import UserError
from robust3d.study.targets import every_target, no_target, published_paths, target_name


def test_every_stable_name_leads_to_its_target():
    for name in every_target():
        assert {target_name(path) for path in published_paths(name).values()} == {name}


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("results/table9.csv", "results/table4.csv"),
        ("results/tabel4.csv", "results/table4.csv"),
        ("results/table4.png", "results/table4.csv"),
        ("result/table4.csv", "results/table4.csv"),
        ("table4", "results/table4.csv"),
        ("results/figure3.svg", "results/figure3.png"),
        ("results/table4.cell.json", "results/table4.csv"),
        ("tabels", "tables"),
        ("quite another", "results/winn3d/table7.csv, tables"),
    ],
)
def test_the_closest_names_are_told_in_one_line(name, closest):
    told = no_target(name, ["tables", "figures"])
    assert told.startswith(f"{name}: no such target") and closest in told and "\n" not in told


@pytest.mark.parametrize("name", ["results/table9.csv", "table4.csv", "results/shapebias/table1.csv", "."])
def test_no_target_is_refused(name):
    with pytest.raises(UserError, match="no such target"):
        target_name(name)
