"""Figure 2: the ten named geon categories."""

from typing import TYPE_CHECKING

from robust3d.figures.galleries import draw_gallery, sources
from robust3d.shapes.codes import NAMES

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

__all__ = ["sources", "write"]


def write(job: "Context") -> None:
    """Two rows of five, in the paper's order."""
    draw_gallery(job, list(NAMES.values()), columns=5)
