"""Meshes from disk in the layout of ModelNet, rendered here."""

from pathlib import Path

from robust3d.data.published import meshes
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.members import extent, only
from robust3d.data.published.params import ModelNetParams as Params
from robust3d.shapes.mesh import Mesh

__all__ = ["SOURCE", "Params", "extent", "only", "read_mesh", "take_inventory"]
SOURCE = "meshes"


def take_inventory(params: Params) -> Inventory:
    """The files on disk; if some are missing, the error says where to get them."""
    return meshes.take_inventory(params.path, params)


def read_mesh(params: Params, entry: Entry) -> Mesh:
    """The mesh of one object, scaled into the unit cube."""
    return meshes.read_mesh(Path(params.path) / entry.path, params.up, **params.look)
