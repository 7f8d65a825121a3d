"""Voxelises a folder of meshes of one's own into one file: `robust3d voxelise`."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robust3d.data.published.inventory import listing
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.meshes import read_mesh
from robust3d.data.volume_shards import write_volumes
from robust3d.errors import UserError
from robust3d.files import partial, publish
from robust3d.parsing import parse
from robust3d.shapes.voxels import VoxelParams, voxelise

KINDS = (".off", ".obj", ".ply", ".glb", ".gltf")
GLTF = (".glb", ".gltf")
NOT_READ = (".stl", ".fbx", ".dae", ".3ds", ".blend", ".usd", ".usdc", ".usdz", ".wrl", ".x3d", ".step")
ALONE = "meshes"  # class of meshes that are in no folder


def voxelise_folder(folder: Path, out: Path, up: str, **params: int | None) -> str:
    """Write the volumes of all meshes in a folder; open and self-intersecting ones are fine.

    Args:
        folder: with meshes, or with a folder of meshes for each class, at any depth.
        out: file to write, read by `robust3d.data.voxel_sets.open_file`; the volumes are y up.
        up: axis that points up in the meshes, "y" or "z".
        params: keys of `VoxelParams`.

    Returns:
        A line for the user: how many, how long; and one of meshes of kinds that are not read, if there are any.

    Raises:
        UserError: no such grid, no folder, no mesh, or not one that can be read; meshes of one class and name; an axis
            that cannot be that of all. `out` is not written then.
    """
    started = time.time()
    try:
        grid = parse(VoxelParams, {key: value for key, value in params.items() if value is not None})
    except ValueError as error:
        raise UserError(f"the grid: {error}") from None
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of meshes")
    if out.is_dir():
        raise UserError(f"{out}: a folder; name a file in it")
    if not out.parent.is_dir():
        raise UserError(f"{out.parent}: no such folder to write {out.name} into")
    found, others = _meshes(folder)
    if not found:
        raise UserError(f"{folder}: no mesh in it; {', '.join(KINDS)} are read{_counted(others)}")
    if up == "z" and len({path.suffix.lower() in GLTF for paths in found.values() for path in paths}) > 1:
        raise UserError(f"{folder}: --up z would turn glTF too, which is y up by its format; voxelise it apart")
    left_out = 0

    def objects(paths: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
        nonlocal left_out
        for path in paths:
            try:
                vertices, faces = _read(path, up)
            except BrokenMesh as error:
                left_out += 1
                print(f"left out: {error}", file=sys.stderr)
                continue
            yield _name(path, folder), voxelise(vertices, faces, grid, _name(path, folder))

    temporary = partial(out)
    try:
        entry = write_volumes(temporary, {name: objects(paths) for name, paths in found.items()}, grid.resolution)
        total = sum(map(len, entry["classes"].values()))
        if not total:
            raise UserError(f"{folder}: none of its {left_out} meshes can be read; nothing is written")
        publish(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    size = f"{grid.resolution}³ voxels"
    classes = f"{len(found)} class{'es' * (len(found) > 1)}"
    out_of = f", {left_out:,} left out" if left_out else ""
    seconds = f"{time.time() - started:.1f} s"
    line = f"{out}: {entry['volumes']:,} volumes of {size} from {total:,} meshes of {classes}{out_of}; {seconds}"
    return f"{line}\n{folder}: {', '.join(KINDS)} are read{_counted(others)}" if others else line


def _meshes(folder: Path) -> tuple[dict[str, list[Path]], Counter[str]]:
    """Meshes below a folder by class, the name of the first folder on the way to them; and how many of other kinds.

    Raises:
        UserError: a folder cannot be read, or meshes without a folder would be of the same class as those of one.
    """
    found: dict[str, list[Path]] = {}
    others: Counter[str] = Counter()
    for path in _files(folder, {os.path.realpath(folder)}):
        inside, kind = path.relative_to(folder).parts, path.suffix.lower()
        others[kind] += kind in NOT_READ
        if kind in KINDS:
            found.setdefault(inside[0] if len(inside) > 1 else ALONE, []).append(path)
    if len({len(path.relative_to(folder).parts) > 1 for path in found.get(ALONE, ())}) > 1:
        raise UserError(
            f"{folder}: meshes of no folder are of class {ALONE}, and it has a folder {ALONE} too; join them"
        )
    return found, +others


def _files(folder: Path, above: set[str]) -> Iterator[Path]:
    """Files below a folder in order, also behind links to folders, but for those that lead back up."""
    for entry in listing(folder):
        path = folder / entry.name
        if not entry.is_dir():
            yield path
        elif (place := os.path.realpath(path)) not in above:
            yield from _files(path, above | {place})


def _counted(others: Counter[str]) -> str:
    return f"; left out: {', '.join(f'{count:,} {kind}' for kind, count in sorted(others.items()))}" if others else ""


def _name(path: Path, folder: Path) -> str:
    """Path within the class: unique, with the file's ending, for two files may differ in it alone."""
    inside = path.relative_to(folder).parts
    return "/".join(inside[1:] or inside)


def _read(path: Path, up: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3), y up, and faces (F, 3).

    Raises:
        BrokenMesh: unreadable, empty, too large, NaN or without area.
    """
    mesh = read_mesh(path, "z" if up == "z" else "y", materials="grey", crossed="fan")
    return mesh.vertices, mesh.faces
