"""Figure 8: all forty geons."""

from typing import TYPE_CHECKING

from robust3d.figures.galleries import draw_gallery, sources
from robust3d.shapes.codes import CODES

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

__all__ = ["sources", "write"]


def write(job: "Context") -> None:
    """Four rows of ten, one for each pair of axis and cross-section, in the paper's order."""
    draw_gallery(job, list(CODES), columns=10)
