"""Scores of units joined with their labels, counted by hand."""

import pytest

from robust3d.errors import UserError
from robust3d.tables.units import scores_by_category


def test_scores_are_means_over_all_units_and_over_detectors_by_category():
    ablation = {"layers": {"a": {"shape": [4, 0, 2], "texture": [0, 6, 1]}, "b": {"shape": [9], "texture": [9]}}}
    labels = {"category": ["texture", "texture", "object"], "score": [0.2, 0.05, 0.04]}
    found = scores_by_category(ablation, {"layers": {"a": labels}})
    assert found == {
        "all": {"units": 3, "shape": 2, "texture": 7 / 3},
        "texture": {"units": 2, "shape": 2, "texture": 3},
    }


@pytest.mark.parametrize(
    ("layers", "says"),
    [({"c": {}}, "no layer in common"), ({"a": {"category": ["x"], "score": [1.0]}}, "3 and 1 units in a")],
)
def test_probes_of_different_units_are_refused(layers, says):
    with pytest.raises(UserError, match=says):
        scores_by_category({"layers": {"a": {"shape": [4, 0, 2], "texture": [0, 6, 1]}}}, {"layers": layers})
