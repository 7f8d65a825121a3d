"""A few of the random kills that `kills.py` does by the hundred."""

import pytest
from kills import kill_at_random
from project import Project

pytestmark = pytest.mark.slow


def test_random_kills_never_leave_a_wrong_file(finished, tmp_path):
    project = Project(tmp_path / "killed")
    assert sum(kill_at_random(project, ("results/table3.csv",), kills=4, seed=3).values()) == 4
    names = ("table3.csv", "table3.cells.json")
    assert project.bytes_of(*names) == finished.bytes_of(*names)
    assert not list((project.folder / "results").rglob(".partial*"))
