from dataclasses import asdict

import numpy as np
import pytest

from robust3d.attacks.checks import Flags
from robust3d.tables.robustness import area_under, attack_flags


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


def test_what_an_attack_has_found_odd_goes_into_the_cell():
    def cell(**found):
        return attack_flags([{"classifier": {"collapse": None, "encoder": None}, "flags": asdict(Flags(**found))}])

    assert cell() == []
    assert cell(invalid=["their gradients are zero"]) == ["robust accuracy is NOT VALID: their gradients are zero"]
    assert cell(nonfinite_gradients=7, nonfinite_logits=2) == [
        "2 adversarial images count as broken because their logits are not finite",
        "7 entries of gradients were not finite and counted as zero",
    ]
    assert cell(notices=["a copy was left out"], zero_gradients={"apgd-t": 3}) == [
        "a copy was left out",
        "zero gradients at 3 starts of apgd-t",
    ]
