"""Table 3: accuracy without a change, and errors of depth."""

from typing import TYPE_CHECKING, Any

from robust3d.papers.prior3d import compared
from robust3d.papers.prior3d.reported import TABLE3

if TYPE_CHECKING:
    from robust3d.papers.prior3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = "Accuracy (%) of linear classifiers on frozen features, and errors (RMSE) of depth heads, lower is better."


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    elsewhere = {one.probe: one.experiment for one in section.other_images}
    probes = {section.probe: section.table3, **{one.probe: [one] for one in section.other_images}}
    probes |= {one.probe: [one] for one in section.depth}
    return compared.sources(plan, section, section.rows, probes, elsewhere)


def write(job: "Context") -> None:
    """One row a backbone, before and after."""
    compared.write(job, CAPTION, TABLE3)
