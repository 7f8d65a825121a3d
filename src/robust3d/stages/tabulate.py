"""Writes one table and the lineage of its cells; its module has the code."""

from typing import TYPE_CHECKING

from robust3d import registry

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `table` and `cells`."""
    registry.load("target", job.params["target"]).write(job)
