import pytest

from robust3d.tables.cells import epsilon_label, percent, run_flags


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


def test_percent():
    assert percent(0.28541) == "28.5"


def test_a_shared_pre_training_is_told():
    def models(*seeds):
        return [{"collapse": None, "encoder": {"seed": seed, "collapse": None}} for seed in seeds]

    assert any("share one pre-training" in flag for flag in run_flags(models(0, 0, 0)))
    assert run_flags(models(0, 1, 2)) == run_flags(models(0)) == []
    assert run_flags([{"collapse": None, "encoder": None}] * 3) == []
