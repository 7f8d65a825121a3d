"""Meshes from disk in the layout of ShapeNetCore, rendered here."""

from pathlib import Path

from pydantic import Field

from robust3d.data.published import meshes
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.params import ShapeNetCoreParams
from robust3d.shapes.mesh import Mesh

SOURCE = "meshes"


class Params(ShapeNetCoreParams):
    """What lies where, how much of it to take, and in how many files of ours."""

    shards: int = Field(8, ge=1)  # files of ours a class; changes no pixel


def only(params: Params, class_name: str) -> Params:
    """The parameters that one class's meshes depend on."""
    return params.model_copy(update={"classes": (class_name,)})


def extent(params: Params) -> float:
    """Side of the origin-centred cube that holds every object, in world units."""
    return 1.0


def take_inventory(params: Params) -> Inventory:
    """What lies on disk; ends with a message that says where to get what is missing."""
    return meshes.take_inventory(params.path, params)


def read_mesh(params: Params, entry: Entry) -> Mesh:
    """The mesh of one object, scaled into the unit cube."""
    return meshes.read_mesh(Path(params.path) / entry.path, "y")
