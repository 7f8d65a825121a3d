"""Views from disk in the layout of Scene Representation Networks."""

from pathlib import Path

from pydantic import Field

from robust3d.data.blank import BlankViews
from robust3d.data.frame import Frame
from robust3d.data.published import srn as layout
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.members import extent, only
from robust3d.data.published.numbering import Note
from robust3d.data.published.params import SRNParams

__all__ = ["SOURCE", "Params", "extent", "only", "read_views", "take_inventory"]
SOURCE = "views"


class Params(SRNParams):
    """Where the files are, and how many of them to use."""

    views: int = Field(50, ge=1)  # of each object; fewer than are there: evenly spaced ones
    resolution_px: int = Field(128, ge=8)  # side of the images on disk


def take_inventory(params: Params) -> Inventory:
    """The files on disk; if some are missing, the error says where to get them."""
    return layout.take_inventory(params.path, params)


def read_views(params: Params, name: str, entry: Entry, note: Note, blank: BlankViews) -> list[Frame]:
    """The frames of one object, which bear `name`; `note` is called with remarks about it, `blank` with blank views."""
    return layout.read_instance(Path(params.path) / entry.path, name, params.views, params.resolution_px, note, blank)
