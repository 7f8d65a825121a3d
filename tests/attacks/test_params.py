"""Impossible budgets are refused, and the parameters load without torch."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from robust3d.attacks.params import AutoAttackParams, PgdParams


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilons": ()},
        {"epsilons": (0.0, 0.1)},
        {"epsilons": (-0.1,)},
        {"epsilons": (0.2, 0.1)},
        {"epsilons": (0.1, 0.1)},
        {"attacks": ()},
        {"attacks": ("apgd-ce", "apgd-ce")},
        {"attacks": ("pgd",)},
        {"norm": "L1"},
        {"epsilons": (0.1,), "sanity_epsilon": 0.05},
        {"batch_size": 0},
        {"backend": "pyautoattack", "shrink": True},
        {"backend": "pyautoattack", "search_precision": "bf16"},
        {"unknown": 1},
    ],
)
def test_wrong_autoattack_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        AutoAttackParams(**wrong)


@pytest.mark.parametrize("wrong", [{"epsilon": 0.0}, {"step_size": -1.0}, {"steps": 0}, {"norm": "l2"}])
def test_wrong_pgd_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        PgdParams(**wrong)


def test_defaults_are_the_standard_attack():
    params = AutoAttackParams()
    assert params.attacks == ("apgd-ce", "apgd-t", "fab-t", "square")
    assert (params.iterations, params.square_queries, params.target_classes) == (100, 5000, 9)


def test_parameters_load_without_torch():
    code = "import sys, robust3d.attacks.params; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
