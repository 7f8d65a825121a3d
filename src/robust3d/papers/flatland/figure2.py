"""Figure 2: examples of ProcSynthDB."""

from typing import TYPE_CHECKING, Any

from robust3d.papers.flatland import samples

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The set with its files."""
    return samples.sources(plan, section, "figure2")


def write(job: "Context") -> None:
    """A row for each class."""
    samples.write(job)
