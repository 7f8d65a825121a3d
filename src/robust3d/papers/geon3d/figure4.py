"""Figure 4: geons against Linf attacks: adversarial training alone and after DVR."""

from typing import TYPE_CHECKING, Any

from robust3d.figures import curves

if TYPE_CHECKING:
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: the experiments of `papers.geon3d.figure4`."""
    return curves.sources(plan, section.figure4.experiments, section.figure4.pretraining, ("Linf",))


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    curves.write(job, "Accuracy (%) on geons over the budget of Linf AutoAttack.")
