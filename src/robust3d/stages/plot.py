"""Plots one figure of numbers; the figure's own module says how."""

from typing import TYPE_CHECKING

from robust3d import registry

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `picture`, and `table` and `cells` with what it shows."""
    registry.load("target", job.params["target"]).write(job)
