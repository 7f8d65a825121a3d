import numpy as np
import pytest

from robust3d.tables.cells import difference, epsilon_label, interval, percent


@pytest.mark.parametrize(
    ("norm", "epsilon", "label"),
    [
        ("Linf", 8 / 255, "Linf 8/255"),
        ("Linf", 24 / 255, "Linf 24/255"),
        ("Linf", 0.05, "Linf 0.05"),
        ("Linf", 0.3, "Linf 0.3"),
        ("L2", 1.0, "L2 1.0"),
        ("L2", 1.5, "L2 1.5"),
        ("L2", 0.25, "L2 0.25"),
    ],
)
def test_budgets_are_written_as_in_papers(norm, epsilon, label):
    assert epsilon_label(norm, epsilon) == label


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),  # Newcombe (1998), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_one_seed_has_wilsons_interval(successes, n, low, high):
    found = interval([np.arange(n) < successes])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=5e-5)
    assert "Wilson" in found["kind"]


def test_several_seeds_have_students_interval():
    outcomes = [np.array([1, 1, 0, 0], bool), np.array([1, 0, 0, 0], bool), np.array([1, 1, 1, 0], bool)]
    found = interval(outcomes)
    # mean 0.5, standard deviation 0.25, t(0.975, 2) = 4.302653
    assert (found["low"], found["high"]) == pytest.approx(
        (0.5 - 4.302653 * 0.25 / 3**0.5, 0.5 + 4.302653 * 0.25 / 3**0.5)
    )
    assert "3 seeds" in found["kind"]


def test_a_difference_is_paired():
    rng = np.random.default_rng(0)
    baseline = rng.random(400) < 0.5
    same = difference([baseline], [baseline], 0)
    assert same["value"] == same["low"] == same["high"] == 0 and not same["beyond_interval"]
    better = baseline.copy()
    better[np.flatnonzero(~baseline)[:20]] = True
    found = difference([better], [baseline], 0)
    # 20 of 400 images gained: standard error sqrt(p (1 - p) / n), and none lost
    half = 1.96 * (0.05 * 0.95 / 400) ** 0.5
    assert found["value"] == pytest.approx(0.05)
    assert (found["low"], found["high"]) == pytest.approx((0.05 - half, 0.05 + half), abs=0.004)
    assert found["beyond_interval"]


def test_percent():
    assert percent(0.28541) == "28.5"
