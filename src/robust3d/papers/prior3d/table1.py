"""Table 1: accuracy where one factor of the picture is otherwise."""

from typing import TYPE_CHECKING, Any

from robust3d.papers.prior3d import compared
from robust3d.papers.prior3d.reported import TABLE1

if TYPE_CHECKING:
    from robust3d.papers.prior3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = "Accuracy (%) of linear classifiers on frozen features where one factor of the pictures is otherwise."


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return compared.sources(plan, section, section.rows, {section.probe: section.table1})


def write(job: "Context") -> None:
    """One row a backbone, before and after."""
    compared.write(job, CAPTION, TABLE1)
