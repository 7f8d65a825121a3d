"""Voxelises a folder of meshes of one's own into one file: `robust3d voxelise`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robust3d.data.published.inventory import is_ours
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.meshes import read_mesh
from robust3d.data.volume_shards import write_volumes
from robust3d.errors import UserError
from robust3d.files import partial, publish
from robust3d.parsing import parse
from robust3d.shapes.voxels import VoxelParams, voxelise

KINDS = (".off", ".obj", ".ply", ".glb", ".gltf")
ALONE = "meshes"  # class of meshes that are in no folder


def voxelise_folder(folder: Path, out: Path, up: str, **params: int | None) -> str:
    """Write the volumes of all meshes in a folder; open and self-intersecting ones are fine.

    Args:
        folder: with meshes, or with a folder of meshes for each class, at any depth.
        out: file to write, read by `robust3d.data.voxel_sets.open_file`; the volumes are y up.
        up: axis that points up in the meshes, "y" or "z".
        params: keys of `VoxelParams`.

    Returns:
        A line for the user: how many, how long.

    Raises:
        UserError: no folder, no mesh, or not one that can be read; `out` is not written then.
    """
    grid, started = parse(VoxelParams, {key: value for key, value in params.items() if value is not None}), time.time()
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of meshes")
    if not out.parent.is_dir():
        raise UserError(f"{out.parent}: no such folder to write {out.name} into")
    found = _meshes(folder)
    if not found:
        raise UserError(f"{folder}: no mesh in it; {', '.join(KINDS)} are read")
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
    return f"{out}: {entry['volumes']:,} volumes of {size} from {total:,} meshes of {classes}{out_of}; " + (
        f"{time.time() - started:.1f} s"
    )


def _meshes(folder: Path) -> dict[str, list[Path]]:
    """Meshes below a folder by class, the name of the first folder on the way to them."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.suffix.lower() in KINDS and path.is_file() and all(map(is_ours, inside)):
            found.setdefault(inside[0] if len(inside) > 1 else ALONE, []).append(path)
    return found


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
