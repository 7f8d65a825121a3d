"""Meshes from disk in the layout of ShapeNetCore, rendered here."""

from pathlib import Path

from robust3d.data.published import meshes
from robust3d.data.published.inventory import Entry, Inventory
from robust3d.data.published.members import extent, only
from robust3d.data.published.params import ShapeNetCoreParams as Params
from robust3d.data.published.rooted import FolderFiles
from robust3d.shapes.mesh import Mesh

__all__ = ["SOURCE", "Params", "extent", "only", "read_mesh", "take_inventory"]
SOURCE = "meshes"


def take_inventory(params: Params) -> Inventory:
    """The files on disk; if some are missing, the error says where to get them."""
    return meshes.take_inventory(params.path, params)


def read_mesh(params: Params, entry: Entry) -> Mesh:
    """The mesh of one object, scaled into the unit cube."""
    class_folder, object_folder, name = entry.path.split("/", 2)
    root = Path(params.path)
    files = FolderFiles(root / class_folder / object_folder, data_set=root, asked_for=name)
    return meshes.read_mesh_in(files, name, **params.look)
