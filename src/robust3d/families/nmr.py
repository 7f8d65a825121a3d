"""Views from disk in the layout of DVR's NMR renders of ShapeNet."""

from pathlib import Path

from pydantic import Field

from robust3d.data.blank import BlankViews
from robust3d.data.frame import Frame
from robust3d.data.published import nmr as layout
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.members import extent, only
from robust3d.data.published.numbering import Note
from robust3d.data.published.params import NMRParams

__all__ = ["SOURCE", "Params", "extent", "only", "read_views", "take_inventory"]
SOURCE = "views"


class Params(NMRParams):
    """Where the files are, and how many of them to use."""

    resolution_px: int = Field(64, ge=8)  # side of the images on disk


def take_inventory(params: Params) -> Inventory:
    """The files on disk; if some are missing, the error says where to get them."""
    return layout.take_inventory(params.path, params)


def read_views(params: Params, name: str, entry: Entry, note: Note, blank: BlankViews) -> list[Frame]:
    """The frames of one object, which bear `name`; `note` is called with remarks about it, `blank` with blank views."""
    return layout.read_instance(Path(params.path) / entry.path, name, params.views, params.resolution_px, note, blank)
