"""Reads meshes of published data sets, ShapeNetCore and ModelNet, with their materials if they are wanted."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robust3d.data.params import SPLITS
from robust3d.data.published import scenes
from robust3d.data.published.files import MIB, reading
from robust3d.data.published.inventory import (
    Entry,
    Inventory,
    Missing,
    check_missing,
    listing,
    root_folder,
    sub_folders,
)
from robust3d.data.published.looks import Triangles, dressed, plain
from robust3d.data.published.mesh_text import BrokenMesh, Polygons, parse_obj, parse_off
from robust3d.data.published.params import SYNSETS, Materials, ModelNetParams, ShapeNetCoreParams
from robust3d.data.published.ply import parse_ply
from robust3d.data.published.rooted import Files, FolderFiles
from robust3d.data.published.text import decoded
from robust3d.errors import UserError
from robust3d.shapes.mesh import Mesh
from robust3d.shapes.polygons import CrossedPolygon, triangulate

MAX_FACES = 5_000_000
_MAX_BYTES = 1024 * MIB
LONGEST_DIAGONAL = 1.4  # what the NMR camera sees from every side
_MESHES = (".obj", ".ply", ".stl", ".glb", ".gltf", ".dae", ".fbx", ".3ds", ".off", ".blend", ".usd", ".usdz")
_SHAPENET_FILES = ("models/model_normalized.obj", "model.obj")  # version 2, version 1


def take_inventory(root: str | Path, params: ShapeNetCoreParams | ModelNetParams) -> Inventory:
    """List the meshes, and ModelNet's published division; no mesh is opened.

    Raises:
        Missing: the folder, a class or a mesh is not there.
    """
    layout = "modelnet" if isinstance(params, ModelNetParams) else "shapenetcore"
    root = root_folder(root, layout)
    with reading(root, "cannot be listed", "look at its links and permissions"):
        if isinstance(params, ModelNetParams):
            return _modelnet(root, params)
        return _shapenetcore(root, params)


def _shapenetcore(root: Path, params: ShapeNetCoreParams) -> Inventory:
    inventory = Inventory("shapenetcore", {})
    partial: list[str] = []
    others: list[Path] = []
    for name in params.classes:
        folder = _class_folder("shapenetcore", root, SYNSETS.get(name, name), name)
        found: dict[str, Entry] = {}
        absent = []
        for key in sub_folders(folder)[: params.instances]:
            entry = _first_file(folder, key, with_folder=params.materials == "published")
            if entry is None:
                absent.append(key)
            else:
                found[key] = entry
        inventory.classes[name] = found
        if absent:
            inventory.missing[name] = tuple(absent)
            partial += [f"{name}/{key}" for key in absent]
            others += [mesh for key in absent for mesh in _meshes(folder / key)]
    expected = " or ".join(_SHAPENET_FILES) + (f" ({others[0]} is not read: convert or rename it)" if others else "")
    return check_missing(inventory, params.missing, root, partial, expected)


def _class_folder(layout: str, root: Path, folder: str, name: str) -> Path:
    """The folder of a class.

    Raises:
        Missing: it is not there; the message says what is.
    """
    if not (root / folder).is_dir():
        there = sub_folders(root)
        shown = ", ".join(there[:5]) + ", …" * (len(there) > 5)
        raise Missing(layout, f"{root}: no folder {folder} for class {name!r}; it holds {shown or 'no folder'}")
    return root / folder


def _meshes(folder: Path) -> list[Path]:
    """Meshes of any kind and name, in a folder and those in it."""
    found = []
    for entry in listing(folder):
        if entry.is_dir():
            found += [folder / entry.name / inner.name for inner in listing(folder / entry.name)]
        found.append(folder / entry.name)
    return [path for path in found if path.suffix.lower() in _MESHES]


def _first_file(folder: Path, key: str, with_folder: bool) -> Entry | None:
    whole = f"{folder.name}/{key}"
    for file in _SHAPENET_FILES:
        try:
            size = (folder / key / file).stat().st_size
            return Entry(f"{whole}/{file}", size, folder=whole if with_folder else "")
        except OSError:
            continue
    return None


def _modelnet(root: Path, params: ModelNetParams) -> Inventory:
    inventory = Inventory("modelnet", {})
    for name in params.classes:
        _class_folder("modelnet", root, name, name)
        found: dict[str, Entry] = {}
        splits: dict[str, tuple[str, ...]] = dict.fromkeys(SPLITS, ())
        for split in ("train", "test"):
            folder = root / name / split
            if not folder.is_dir():
                raise Missing("modelnet", f"{root / name}: no folder {split}")
            suffix = f".{params.format}"
            files = [entry for entry in listing(folder) if entry.name.lower().endswith(suffix)]
            keys = {entry.name[: -len(suffix)] for entry in files}
            others = [path for path in _meshes(folder) if path.stem not in keys]
            if others and params.missing == "error":
                raise UserError(
                    f"{folder}: {len(others):,} meshes are not {suffix}, such as {others[0].name}; only {suffix} is "
                    "read, convert or move them (missing: skip goes on without them)"
                )
            for entry in files[: params.instances]:
                key = entry.name[: -len(suffix)]
                if key in found:
                    raise UserError(f"{entry.path}: {root / found[key].path} has the same name; leave one of them")
                # Buffers and pictures of a .gltf lie beside it, under names that only it tells.
                beside = f"{name}/{split}" if params.format == "gltf" else ""
                found[key] = Entry(f"{name}/{split}/{entry.name}", entry.stat().st_size, folder=beside)
            splits[split] = tuple(entry.name[: -len(suffix)] for entry in files[: params.instances])
        inventory.classes[name], inventory.splits[name] = dict(sorted(found.items())), splits
    return check_missing(inventory, params.missing, root)


def read_mesh(path: str | Path, up: Literal["y", "z"] = "y", max_faces: int = MAX_FACES, **look: Any) -> Mesh:
    """A mesh in a folder, whose materials are looked for in that folder and those below: see `read_mesh_in`."""
    path = Path(path)
    return read_mesh_in(FolderFiles(path.parent, asked_for=path.name), path.name, up, max_faces, **look)


def read_mesh_in(
    files: Files,
    name: str,
    up: Literal["y", "z"] = "y",
    max_faces: int = MAX_FACES,
    materials: Materials = "published",
    texture_px: int = 1024,
    turn: np.ndarray | None = None,
    crossed: Literal["error", "fan"] = "error",
) -> Mesh:
    """An OBJ, OFF, PLY or glTF mesh, turned y up and scaled for our cameras.

    Polygons become triangles; faces without area and vertices without faces are dropped; open surfaces are fine.

    Args:
        files: where it and its materials lie, a folder or an archive; nothing else is opened.
        name: of the mesh in there.
        up: the axis that points up in it.
        max_faces: of triangles; judged before parsing where the file tells.
        materials: "published": colours, materials and pictures as the file and those that it names give them; what
            of them cannot be read is in the mesh's `faults`. "grey": no other file is opened.
        texture_px: larger pictures are scaled down to so many pixels a side.
        turn: (3, 3) applied to each vertex of the file (as a column) before everything else.
        crossed: what becomes of polygons that cross themselves, or are folded or too concave: "error", or "fan": they
            are cut as most programs do, and counted in `faults`.

    Returns:
        A mesh whose bounding box is centred at the origin, the longest side 1 or shorter so that the diagonal is at
        most 1.4.

    Raises:
        BrokenMesh: unreadable, empty, too large, NaN, without area, with faces of vertices that are not there, or with
            polygons that cross themselves.
    """
    path = Path(files.root) / name
    kind, is_grey = path.suffix.lower(), materials == "grey"
    if kind not in (".obj", ".off", ".ply", *scenes.KINDS):
        raise BrokenMesh(f"{path}: only .obj and .off meshes are read, and .ply, .glb and .gltf; convert it")
    try:
        content = files.read(name, _MAX_BYTES)
    except UserError as error:
        raise BrokenMesh(str(error)) from None
    if kind in scenes.KINDS:
        vertices, triangles, look, faults = scenes.read_scene(content, path, files, name, texture_px, max_faces)
        vertices = vertices if turn is None else vertices @ turn.T
        which = _wide(vertices, triangles, path)
        triangles = triangles.chosen(which)
        look = plain(triangles) if is_grey else look.chosen(which)
    else:
        polygons = _parse(content, path, max_faces)
        del content
        vertices, triangles, faults = _cut(polygons, path, max_faces, turn, crossed)
        look = plain(triangles) if is_grey else dressed(polygons.look, triangles, files, name, texture_px)
    look.faults += faults
    vertices, faces = _normalised(vertices, triangles.vertices, up)
    return Mesh(vertices, faces, look.colours, paint=look.paint, faults=tuple(look.faults))


def _parse(content: bytes, path: Path, max_faces: int) -> Polygons:
    """What an OBJ, OFF or PLY file says."""
    kind = path.suffix.lower()
    if kind == ".ply":
        return parse_ply(content, path, max_faces)
    try:
        text = decoded(content, path, old_codes=True)
    except UserError as error:
        raise BrokenMesh(str(error)) from None
    return (parse_off if kind == ".off" else parse_obj)(text, path, max_faces)


def _cut(
    polygons: Polygons, path: Path, max_faces: int, turn: np.ndarray | None, crossed: Literal["error", "fan"]
) -> tuple[np.ndarray, Triangles, list[str]]:
    """Vertices and triangles with an area of polygons, and faults."""
    if polygons.triangles > max_faces:
        raise BrokenMesh(f"{path}: {polygons.triangles:,} triangles; at most {max_faces:,} are read, simplify it")
    if not polygons.triangles:
        raise BrokenMesh(f"{path}: an empty mesh: no faces")
    if turn is not None:
        polygons = replace(polygons, vertices=polygons.vertices @ turn.T)
    crossed_faces: list[int] | None = [] if crossed == "fan" else None
    vertices, triangles = _triangles(polygons, path, crossed_faces)
    faults = []
    if crossed_faces:
        total = sum(len(places) for places, _ in polygons.faces)
        faults = [f"{len(crossed_faces):,} of {total:,} faces cross themselves; they are cut as a fan"]
    return vertices, triangles.chosen(_wide(vertices, triangles, path)), faults


def _triangles(polygons: Polygons, path: Path, crossed: list[int] | None) -> tuple[np.ndarray, Triangles]:
    """Vertices (V, 3), moved and scaled into the unit cube, and triangles in the order of the file's faces."""
    used = np.unique(np.concatenate([corners.ravel() for _, corners in polygons.faces]))
    vertices = polygons.vertices.copy()
    if not np.isfinite(vertices[used]).all():
        raise BrokenMesh(f"{path}: coordinates that are NaN or infinite")
    low = vertices[used].min(axis=0)
    with np.errstate(over="ignore"):
        longest = float((vertices[used].max(axis=0) - low).max())
    if not 1e-30 < longest < 1e30:
        raise BrokenMesh(f"{path}: zero area, or a size of {longest:.3g} that is out of range")
    vertices[used] = (vertices[used] - low) / longest
    places, cut, in_pictures = [], [], []
    for number, (faces, corners) in enumerate(polygons.faces):
        ids = np.arange(corners.size).reshape(corners.shape)  # corners, not vertices: each has a place in a picture
        try:
            triangles = triangulate(vertices[corners.ravel()], ids, crossed).reshape(-1, 3)
        except CrossedPolygon as error:
            raise BrokenMesh(
                f"{path}: face {faces[error.place] + 1} has {corners.shape[1]} corners and crosses itself, or is too "
                "concave to be cut; make triangles of it in the program that it comes from"
            ) from None
        uv = polygons.look.uv_corners[number] if polygons.look.uv_corners else np.full(corners.shape, -1)
        cut.append(corners.ravel()[triangles])
        in_pictures.append(uv.ravel()[triangles])
        places.append(np.repeat(faces, corners.shape[1] - 2))
    source = np.concatenate(places)
    order = np.argsort(source, kind="stable")
    return vertices, Triangles(np.concatenate(cut)[order], source[order], np.concatenate(in_pictures)[order])


def _wide(vertices: np.ndarray, triangles: Triangles, path: Path) -> np.ndarray:
    """(F,) which triangles have an area."""
    corners = vertices[triangles.vertices]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    wide: np.ndarray = areas > 1e-12 * edges**2
    if not wide.any():
        raise BrokenMesh(f"{path}: zero area: all its faces are lines or points")
    return wide


def _normalised(vertices: np.ndarray, faces: np.ndarray, up: str) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = _used(vertices, faces)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    scale = min(1.0 / float((high - low).max()), LONGEST_DIAGONAL / float(np.linalg.norm(high - low)))
    vertices = (vertices - (low + high) / 2) * scale
    if up == "z":
        vertices = vertices @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return vertices, faces.astype(np.int32)


def _used(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same without vertices that no face has."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3)
