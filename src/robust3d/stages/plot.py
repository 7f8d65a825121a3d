"""Plots one figure; its module has the code."""

from typing import TYPE_CHECKING

from robust3d import registry

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `picture`, and `table` and `cells` with its values."""
    registry.load("target", job.params["target"]).write(job)
