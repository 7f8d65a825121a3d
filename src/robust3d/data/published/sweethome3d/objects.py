"""The objects of classes in Sweet Home 3D's catalogues: which there are, and their meshes."""

from pathlib import Path

import numpy as np

from robust3d.data.published.inventory import (
    Credit,
    Entry,
    Inventory,
    Missing,
    check_missing,
    listing,
    root_folder,
)
from robust3d.data.published.meshes import LONGEST_DIAGONAL, read_mesh_in
from robust3d.data.published.params import SweetHome3DParams
from robust3d.data.published.sweethome3d.catalogues import SUFFIX, Catalogue, Furniture, open_catalogue
from robust3d.data.published.sweethome3d.lists import Listed, read_lists
from robust3d.errors import UserError
from robust3d.shapes.mesh import Mesh

_LAYOUT = "sweethome3d"


def take_inventory(params: SweetHome3DParams) -> Inventory:
    """The objects of each class, with their creators, licences and groups of twins; no mesh is opened.

    Raises:
        Missing: the folder or a catalogue is not there, or objects are not in it and `missing` is "error".
        UserError: a list or a catalogue is wrong, or an object is another one than the list says.
    """
    root = root_folder(params.path, _LAYOUT)
    inventory = Inventory(_LAYOUT, {})
    for name, objects in read_lists(params.classes, params.lists).items():
        found: dict[str, Entry] = {}
        absent = []
        for listed in objects[: params.instances]:
            catalogue = _catalogue(root, listed.catalogue)
            if listed.key in catalogue.ids:
                found[listed.key] = _entry(catalogue, listed, params)
            else:
                absent.append(listed.key)
        inventory.classes[name] = dict(sorted(found.items()))
        if absent:
            inventory.missing[name] = tuple(absent)
    return check_missing(inventory, params.missing, root)


def _catalogue(root: Path, name: str) -> Catalogue:
    path = root / f"{name}{SUFFIX}"
    if not path.exists():
        there = [entry.name for entry in listing(root) if entry.name.lower().endswith(SUFFIX)]
        raise Missing(_LAYOUT, f"path: no file {path}; its folder holds {', '.join(there[:5]) or 'no catalogue'}")
    return open_catalogue(path)


def _entry(catalogue: Catalogue, listed: Listed, params: SweetHome3DParams) -> Entry:
    """What the inventory says of an object.

    Raises:
        UserError: it has another name than in the list, or is too large for the cube.
    """
    furniture = catalogue.furniture(listed.key)
    if furniture.name != listed.name:
        raise UserError(
            f"{catalogue.path}: {listed.key} is called {furniture.name!r}, in the list of its class {listed.name!r}; "
            "look whether it is the same object, then correct the list or leave it out"
        )
    if params.size == "metric" and (larger := _longest_m(furniture)) > params.cube_m:
        raise UserError(
            f"shapes.cube_m: {listed.key} ({listed.name}) needs a cube of {larger:.2f} m, and it is {params.cube_m} m"
        )
    credit = Credit(furniture.name, furniture.creator, furniture.licence, catalogue.path.stem)
    return Entry(
        f"{listed.catalogue}{SUFFIX}",
        catalogue.files.size(furniture.model),
        member=listed.key,
        group=listed.group,
        credit=credit,
    )


def _longest_m(furniture: Furniture) -> float:
    """Side of the cube into which an object fits as ours do: its diagonal is at most 1.4 sides."""
    size = np.array(furniture.size_cm) / 100
    return max(float(size.max()), float(np.linalg.norm(size)) / LONGEST_DIAGONAL)


def read_mesh(params: SweetHome3DParams, entry: Entry) -> Mesh:
    """The mesh of an object, upright, in its real proportions, its box centred at the origin.

    As in Sweet Home 3D, the mesh is turned by `modelRotation` and stretched to the catalogue's width, height, depth.

    Raises:
        BrokenMesh: it cannot be rendered.
        UserError: the archive is damaged there.
    """
    catalogue = open_catalogue(Path(params.path) / entry.path)
    furniture = catalogue.furniture(entry.member)
    catalogue.files.read(furniture.model)  # a damaged archive ends the job; a broken mesh is left out
    mesh = read_mesh_in(catalogue.files, furniture.model, turn=furniture.turn, **params.look)
    box = mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0)
    size = np.array(furniture.size_cm) / 100
    size = np.where(box > 1e-9, size, 0)  # a flat mesh stays flat
    side = max(float(size.max()), float(np.linalg.norm(size)) / LONGEST_DIAGONAL)
    scale = size / np.where(box > 1e-9, box, 1) / (side if params.size == "normalised" else params.cube_m)
    return mesh.scaled(tuple(np.where(box > 1e-9, scale, 1)))
