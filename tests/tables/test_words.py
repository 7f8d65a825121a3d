"""What a cell says of its interval and its differences, in words."""

import pytest

from robust3d.tables.words import decimals, differences, interval

APART = {"value": 0.1268, "low": 0.0912, "high": 0.1624, "verdict": "differs", "p": 0.0004, "kind": "paired t"}


def cell(unit="%", **entries):
    return {"row": "Supervised", "column": "Clean", "unit": unit, "text": "86.9", **entries}


def test_a_share_is_told_in_points():
    (found,) = differences(cell(difference={"to": "Scratch", **APART}))
    assert found.to == "Scratch" and found.value == "+12.7 points" and found.bounds == "+9.1 to +16.2"
    assert found.verdict == "differs (p 0.0004)" and found.kind == "paired t"


def test_another_number_is_told_in_its_unit_as_far_as_its_interval_lets_know():
    bounds = {"value": -0.0003, "low": -0.00058, "high": -0.00002, "verdict": "differs", "p": 0.03}
    (found,) = differences(cell("m", difference={"to": "before", **bounds}))
    assert found.value == "-0.00030 m" and found.bounds == "-0.00058 to -0.00002"
    assert interval({"low": 0.1334, "high": 0.1351}, "units of the depth") == "0.13340 to 0.13510"
    assert interval({"low": 0.6, "high": 0.9}, "%") == "60.0 to 90.0"
    assert interval({"low": None, "high": 0.9}, "%") is None and interval({}, "%") is None


@pytest.mark.parametrize(
    ("low", "high", "digits"),
    [(0, 2, 3), (0, 0.2, 3), (0, 0.0018, 5), (0.5, 0.5, 3), (None, None, 3), (0, float("inf"), 3)],
)
def test_decimals_leave_two_that_count_of_half_the_interval(low, high, digits):
    assert decimals(low, high) == digits


def test_each_difference_names_what_it_is_to():
    found = differences(
        cell(
            difference_to_voxels={"to": "Voxels", **APART},
            difference_to_AT=APART,  # as it was before differences named it
            difference=APART,
            difference_to_baseline=None,
            clean_accuracy=0.9,
        )
    )
    assert [one.to for one in found] == ["Voxels", "AT", None]


def test_the_baseline_has_none_to_itself():
    assert differences(cell(difference_to_AT={"to": "Clean", **APART})) == []
    assert differences(cell(difference={"to": "Supervised", **APART})) == []


def test_what_is_left_among_all_comparisons_and_why_there_is_no_verdict():
    among = {"p_holm": 0.06, "comparisons": 148, "verdict_holm": "does not differ"}
    (found,) = differences(cell(difference={**APART, **among}))
    assert found.verdict == "differs (p 0.0004); among 148 comparisons does not differ (Holm's p 0.06)"
    none = {"value": 0.1, "low": None, "high": None, "verdict": None, "p": None, "note": "one training run"}
    (found,) = differences(cell(difference=none))
    assert found.verdict == "no verdict; one training run" and found.bounds is None


@pytest.mark.parametrize(
    "damage", [{"value": "x"}, {"value": None}, {}, [], "x", {"value": True}, {"value": float("nan")}]
)
def test_damaged_entries_are_passed_over(damage):
    assert differences(cell(difference=damage)) == []
