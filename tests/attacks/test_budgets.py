"""A budget has a value and one name; tables and metrics refer to it by the name."""

import copy
import json
import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robust3d.attacks.budgets import Budget, check_among, check_spelling, label, no_attack
from robust3d.attacks.params import AutoAttackParams, PgdParams
from robust3d.parsing import parse


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("8/255", "8/255", Fraction(8, 255)),
        (" 8 / 255 ", "8/255", Fraction(8, 255)),
        (8 / 255, "8/255", Fraction(8, 255)),
        (0.0627450980392157, "16/255", Fraction(16, 255)),
        (0.0627451, "16/255", Fraction(16, 255)),  # six digits, as people copy them
        ("0.0627451", "16/255", Fraction(16, 255)),
        (0.0627, "0.0627", Fraction("0.0627")),  # not 16/255, which is 0.06275
        (0.2, "0.2", Fraction(1, 5)),
        ("51/255", "51/255", Fraction(1, 5)),  # 255ths stay as written
        ("8.5/255", "8.5/255", Fraction(17, 510)),
        (1, "1.0", 1),
        ("1", "1.0", 1),
        (1.0, "1.0", 1),
        ("2/2", "1.0", 1),
        ("3/2", "1.5", Fraction(3, 2)),
        ("1/3", "1/3", Fraction(1, 3)),
        (0.05, "0.05", Fraction("0.05")),
        (1e-5, "1e-05", Fraction("1e-5")),
        ("0/255", "0/255", 0),
        (-0.0, "0.0", 0),
    ],
)
def test_a_budget_keeps_its_name_and_has_the_exact_value(written, name, value):
    budget = Budget(written)
    assert (str(budget), f"{budget}") == (name, name)
    assert budget == float(value) and isinstance(budget, float)


@given(st.one_of(st.floats(0, 1e6), st.fractions(0, 100, max_denominator=999).map(str), st.integers(0, 2000)))
def test_the_name_gives_the_same_budget_again(written):
    budget = Budget(written)
    assert math.isclose(budget, float(Fraction(written)), rel_tol=1e-5)
    again = Budget(str(budget))
    assert again == budget and str(again) == str(budget)
    assert str(copy.deepcopy(budget)) == str(Budget(budget)) == str(budget)


@given(st.lists(st.floats(1e-6, 100), min_size=2, max_size=2))
@example([100.0, 99.99999999999999])
@example([0.2, 0.199999999])
def test_two_values_never_have_one_name(values):
    first, second = map(Budget, values)
    assert (first == second) == (str(first) == str(second))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "8/0",
        "/255",
        "8/",
        "1/2/3",
        "-1",
        "-8/255",
        "eight",
        "nan",
        "1e999",
        "9" * 5000,
        "1e9/3",
        -0.1,
        math.inf,
        math.nan,
        True,
        None,
        [0.1],
        {},
    ],
)
def test_what_is_no_budget_is_refused(written):
    with pytest.raises(
        ValueError, match=r"no budget; write a number such as 1\.0 or a fraction such as 8/255"
    ) as error:
        Budget(written)
    assert len(str(error.value)) < 140


@pytest.mark.parametrize(
    ("norm", "budget", "row"),
    [
        ("Linf", 8 / 255, "Linf 8/255"),
        ("Linf", 24 / 255, "Linf 24/255"),
        ("Linf", "24/255", "Linf 24/255"),
        ("Linf", 0.05, "Linf 0.05"),
        ("Linf", 0.3, "Linf 0.3"),
        ("L2", 1.0, "L2 1.0"),
        ("L2", 1.5, "L2 1.5"),
        ("L2", 0.25, "L2 0.25"),
        ("Linf", no_attack("Linf"), "Linf 0/255"),
        ("L2", no_attack("L2"), "L2 0.0"),
    ],
)
def test_budgets_are_written_as_in_papers(norm, budget, row):
    assert label(norm, budget) == row


def test_parameters_keep_the_names_on_their_way_to_a_job_and_back():
    params = AutoAttackParams(epsilons=("8/255", 0.05, 1 / 3))
    told = json.loads(params.model_dump_json())
    assert told["epsilons"] == ["8/255", 0.05, "85/255"]  # a number stays a number
    again = parse(AutoAttackParams, told)
    assert again == params and list(map(str, again.epsilons)) == ["8/255", "0.05", "85/255"]
    training = parse(PgdParams, {"epsilon": "8/255", "step_size": "2/255"})
    assert (training.epsilon, training.step_size) == (8 / 255, 2 / 255)
    with pytest.raises(ValueError, match="greater than 0"):
        PgdParams(epsilon="0/255")


def test_a_reference_has_the_name_of_a_budget_that_is_attacked():
    grid = tuple(map(Budget, ("8/255", "0.2")))
    check_among("row", Budget(8 / 255), "grid", grid)
    with pytest.raises(ValueError, match=r"row: 51/255 is called 0\.2 in grid; write it so here too"):
        check_among("row", Budget("51/255"), "grid", grid)
    with pytest.raises(ValueError, match=r"row: 9/255 is not among grid \(8/255, 0\.2\); add it there"):
        check_among("row", Budget("9/255"), "grid", grid)


def test_one_budget_with_two_names_is_refused():
    def grid(*written):
        return tuple(map(Budget, written))

    check_spelling({"a": grid("8/255", 1, 1.5), "b": grid(8 / 255, 1.0, "3/2", 0.2), "c": ()})
    for first, second in (("51/255", 0.2), ("1/3", "85/255"), (0.1234567, 0.1234568)):
        with pytest.raises(ValueError) as error:
            check_spelling({"a": grid(first), "b": grid(0.01, second)})
        assert all(text in str(error.value) for text in ("a", "b", str(first), str(second), "one budget"))
