"""Corrections for many comparisons, and ratios as means, against numbers computed by hand."""

import numpy as np
import pytest

from robust3d.tables.multiple import holm
from robust3d.tables.ratios import linearised


def test_holm_is_as_computed_by_hand():
    # sorted: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04, which is not below the 0.06 before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0] and holm([0.02]) == [0.02] and holm([]) == []
    assert holm([0.02, 0.02, 0.9]) == pytest.approx([0.06, 0.06, 0.9])


def test_holm_rejects_what_its_step_down_procedure_rejects():
    # Holm (1979): go up from the smallest; stop at the first that is above 0.05 / (number of those left)
    generator = np.random.default_rng(0)
    for _ in range(200):
        p = generator.random(7) ** 4
        rejected = np.zeros(7, bool)
        for left, index in zip(range(7, 0, -1), np.argsort(p)):
            if p[index] > 0.05 / left:
                break
            rejected[index] = True
        assert [one <= 0.05 for one in holm(p.tolist())] == rejected.tolist()


def test_a_ratio_is_the_mean_of_its_linearised_values():
    chosen, counted = np.array([True, False, False, True]), np.array([True, True, False, True])
    # ratio 2/3, mean of counted 3/4: 2/3 + (1 - 2/3) / (3/4), 2/3 - (2/3) / (3/4), 2/3, as the first
    assert linearised(chosen, counted) == pytest.approx([10 / 9, -2 / 9, 2 / 3, 10 / 9])
    assert linearised(chosen, counted).mean() == pytest.approx(2 / 3)
