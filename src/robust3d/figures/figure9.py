"""Figure 9: the thirteen categories: every pre-training of Table 4 over all budgets."""

from typing import TYPE_CHECKING, Any

from robust3d.figures import curves

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The experiments named under `report.figure9`."""
    return curves.sources(plan, "figure9", ("Linf", "L2"))


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    curves.write(job, "Accuracy (%) on the thirteen categories over the budget of AutoAttack.")
