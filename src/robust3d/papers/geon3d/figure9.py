"""Figure 9: the thirteen categories: every pre-training of Table 4 over all budgets."""

from typing import TYPE_CHECKING, Any

from robust3d.figures import curves

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the experiments of `papers.geon3d.figure9`."""
    return curves.sources(plan, section.figure9.experiments, section.figure9.pretraining, ("Linf", "L2"))


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    curves.write(job, "Accuracy (%) on the thirteen categories over the budget of AutoAttack.")
