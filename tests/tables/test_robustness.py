import numpy as np
import pytest

from robust3d.tables.robustness import area_under


@pytest.mark.parametrize(
    ("epsilons", "accuracy", "area"),
    [
        ([0, 1, 2], [0.75, 0.5, 0.25], 0.5),
        ([0, 1, 3], [0.75, 0.5, 0.25], (0.625 * 1 + 0.375 * 2) / 3),  # uneven: wider steps weigh more
        ([0, 8 / 255], [0.9, 0.7], 0.8),
        ([0, 2, 4, 6], [0.6, 0.6, 0.6, 0.6], 0.6),  # a mean accuracy, whatever the budgets
    ],
)
def test_the_area_is_the_mean_accuracy_over_the_budgets(epsilons, accuracy, area):
    assert area_under(np.array(epsilons, float), np.array(accuracy)) == pytest.approx(area)
