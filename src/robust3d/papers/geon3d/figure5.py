"""Figure 5: geons against L2 attacks: adversarial training alone and after DVR."""

from typing import TYPE_CHECKING, Any

from robust3d.figures import curves

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the experiments of `papers.geon3d.figure5`."""
    return curves.sources(plan, section.figure5.experiments, section.figure5.pretraining, ("L2",))


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    curves.write(job, "Accuracy (%) on geons over the budget of L2 AutoAttack.")
