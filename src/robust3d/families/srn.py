"""Views from disk in the layout of Scene Representation Networks."""

from pathlib import Path

from pydantic import Field

from robust3d.data.frame import Frame
from robust3d.data.published import srn
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.params import SRNParams

SOURCE = "views"


class Params(SRNParams):
    """What lies where, how much of it to take, and in how many files of ours."""

    views: int = Field(50, ge=1)  # of each object; fewer than are there: evenly spaced ones
    resolution_px: int = Field(128, ge=8)  # side of the images on disk
    shards: int = Field(8, ge=1)  # files of ours a class; changes no pixel


def only(params: Params, class_name: str) -> Params:
    """The parameters that one class's views depend on."""
    return params.model_copy(update={"classes": (class_name,)})


def extent(params: Params) -> float:
    """Side of the origin-centred cube that holds every object, in world units."""
    return 1.0


def take_inventory(params: Params) -> Inventory:
    """What lies on disk; ends with a message that says where to get what is missing."""
    return srn.take_inventory(params.path, params)


def read_views(params: Params, name: str, entry: Entry) -> list[Frame]:
    """The frames of one object."""
    return srn.read_instance(Path(params.path) / entry.path, name, params.views)
