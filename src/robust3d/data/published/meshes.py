"""Reads meshes of published data sets, ShapeNetCore and ModelNet: geometry only, no file but the mesh is opened."""

import io
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robust3d.data.params import SPLITS
from robust3d.data.published.files import MIB, regular_file
from robust3d.data.published.inventory import (
    Entry,
    Inventory,
    Missing,
    check_missing,
    listing,
    root_folder,
    sub_folders,
)
from robust3d.data.published.params import SYNSETS, ModelNetParams, ShapeNetCoreParams
from robust3d.errors import UserError
from robust3d.shapes.mesh import Mesh

MAX_FACES = 5_000_000
_MAX_BYTES = 1024 * MIB
_GREY = 0.6  # linear base colour of a mesh whose materials are not read
_LONGEST_DIAGONAL = 1.4  # what the NMR camera sees from every side
_SHAPENET_FILES = ("models/model_normalized.obj", "model.obj")  # version 2, version 1
_COUNTS = re.compile(
    rb"\s*(?:#[^\n]*\n\s*)*(C?N?OFF)\s*(?:#[^\n]*\n\s*)*(\d{1,18})\s+(\d{1,18})(?:\s+\d{1,18})?[^\S\n]*(?:\n|\r|#|$)"
)


class BrokenMesh(UserError):
    """A mesh that cannot be rendered; the message names its file and says why."""


def take_inventory(root: str | Path, params: ShapeNetCoreParams | ModelNetParams) -> Inventory:
    """List the meshes, and ModelNet's published division; no mesh is opened.

    Raises:
        Missing: the folder, a class or a mesh is not there.
    """
    if isinstance(params, ModelNetParams):
        return _modelnet(root_folder(root, "modelnet"), params)
    return _shapenetcore(root_folder(root, "shapenetcore"), params)


def _shapenetcore(root: Path, params: ShapeNetCoreParams) -> Inventory:
    inventory = Inventory("shapenetcore", {})
    for name in params.classes:
        folder = root / SYNSETS.get(name, name)
        if not folder.is_dir():
            raise Missing("shapenetcore", f"{root}: no folder {folder.name} for class {name!r}")
        found: dict[str, Entry] = {}
        absent = []
        for key in sub_folders(folder)[: params.instances]:
            entry = _first_file(folder, key)
            if entry is None:
                absent.append(key)
            else:
                found[key] = entry
        inventory.classes[name] = found
        if absent:
            inventory.missing[name] = tuple(absent)
    return check_missing(inventory, params.missing, root)


def _first_file(folder: Path, key: str) -> Entry | None:
    for file in _SHAPENET_FILES:
        try:
            return Entry(f"{folder.name}/{key}/{file}", (folder / key / file).stat().st_size)
        except OSError:
            continue
    return None


def _modelnet(root: Path, params: ModelNetParams) -> Inventory:
    inventory = Inventory("modelnet", {})
    for name in params.classes:
        if not (root / name).is_dir():
            raise Missing("modelnet", f"{root}: no folder {name} for class {name!r}")
        found: dict[str, Entry] = {}
        splits: dict[str, tuple[str, ...]] = dict.fromkeys(SPLITS, ())
        for split in ("train", "test"):
            folder = root / name / split
            if not folder.is_dir():
                raise Missing("modelnet", f"{root / name}: no folder {split}")
            files = [entry for entry in listing(folder) if entry.name.lower().endswith(".off")]
            for entry in files[: params.instances]:
                key = entry.name[:-4]
                if key in found:
                    raise UserError(f"{entry.path}: {key} stands in both train/ and test/")
                found[key] = Entry(f"{name}/{split}/{entry.name}", entry.stat().st_size)
            splits[split] = tuple(entry.name[:-4] for entry in files[: params.instances])
        inventory.classes[name], inventory.splits[name] = dict(sorted(found.items())), splits
    return check_missing(inventory, params.missing, root)


def read_mesh(path: str | Path, up: Literal["y", "z"] = "y", max_faces: int = MAX_FACES) -> Mesh:
    """An OBJ or OFF mesh, turned y up and scaled for our cameras.

    Polygons become triangles; faces without area and vertices without faces are dropped; open surfaces are fine.
    Materials and textures are not looked at.

    Args:
        path: of the file.
        up: the axis that points up in it.
        max_faces: of triangles; judged before parsing where the file tells.

    Returns:
        A grey mesh, its bounding box centred at the origin, the longest side 1 or shorter so that the diagonal is
        at most 1.4.

    Raises:
        BrokenMesh: unreadable, empty, too large, NaN, without area, or with faces of vertices that are not there.
    """
    path = Path(path)
    try:
        regular_file(path, _MAX_BYTES, "a mesh")
        content = path.read_bytes()
    except UserError as error:
        raise BrokenMesh(str(error)) from None
    except OSError as error:
        raise BrokenMesh(f"{path}: cannot be read: {error.strerror}") from None
    kind = path.suffix.lower()
    if kind not in (".obj", ".off"):
        raise BrokenMesh(f"{path}: only .obj and .off meshes are read; convert it")
    if b"\0" in content[:4096]:
        raise BrokenMesh(f"{path}: not a text file; is it really {kind}?")
    content = _checked_off(content, path, max_faces) if kind == ".off" else _checked_obj(content, path, max_faces)
    vertices, faces = _parse(content, kind[1:], path)
    if len(faces) > max_faces:
        raise BrokenMesh(f"{path}: {len(faces):,} triangles; at most {max_faces:,} are read, simplify it")
    return _normalised(vertices, faces, up, path)


def _checked_off(content: bytes, path: Path, max_faces: int) -> bytes:
    """The content with a header that stands on lines of its own, if its counts can be true."""
    header = _COUNTS.match(content[:65536])
    if header is None:
        raise BrokenMesh(f"{path}: does not begin with OFF and the numbers of vertices and faces")
    if header[1] not in (b"OFF", b"COFF"):
        raise BrokenMesh(f"{path}: {header[1].decode()} is not read; save it as plain OFF")
    vertices, faces = int(header[2]), int(header[3])
    if faces == 0 or vertices == 0:
        raise BrokenMesh(f"{path}: an empty mesh: {vertices} vertices, {faces} faces")
    if faces > max_faces or vertices > 3 * max_faces:
        raise BrokenMesh(f"{path}: claims {vertices:,} vertices and {faces:,} faces; at most {max_faces:,} are read")
    lines = content.count(b"\n") + content.count(b"\r") + 1
    if vertices + faces > lines:
        raise BrokenMesh(
            f"{path}: claims {vertices + faces:,} vertices and faces but has {lines:,} lines; it is cut off"
        )
    return b"OFF\n%d %d 0\n" % (vertices, faces) + content[header.end() :]


def _checked_obj(content: bytes, path: Path, max_faces: int) -> bytes:
    """The content's vertices and faces alone, if every index points at a vertex."""
    content = content.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    kept = re.findall(rb"^[ \t]*(?:v|f)[ \t][^\r\n]*", content, re.MULTILINE)
    if len(kept) > 4 * max_faces:
        raise BrokenMesh(f"{path}: {len(kept):,} vertices and faces; at most {max_faces:,} faces are read, simplify it")
    lines = [line.split(b"#")[0].split() for line in kept]
    total = sum(line[0] == b"v" for line in lines)
    if total == 0 or total == len(lines):
        raise BrokenMesh(f"{path}: an empty mesh: {total} vertices, {len(lines) - total} faces")
    clean, seen = [], 0
    for line in lines:
        if line[0] == b"v":
            seen += 1
            clean.append(b"v " + b" ".join(line[1:4]))
            continue
        try:
            given = [int(word.split(b"/")[0]) for word in line[1:]]
        except ValueError:
            raise BrokenMesh(f"{path}: a face {b' '.join(line)[:60]!r} whose indices are no whole numbers") from None
        indices = [index if index > 0 else seen + 1 + index if index < 0 else 0 for index in given]
        if any(not 1 <= index <= total for index in indices):
            raise BrokenMesh(f"{path}: a face {b' '.join(line)[:60]!r} of vertices that are not there ({total} are)")
        if len(indices) >= 3:
            clean.append(b"f " + b" ".join(b"%d" % index for index in indices))
    return b"\n".join(clean) + b"\n"


def _parse(content: bytes, kind: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) of the checked content."""
    import trimesh

    try:
        options = {"skip_materials": True, "maintain_order": True} if kind == "obj" else {}
        loaded: Any = trimesh.load(
            io.BytesIO(content), file_type=kind, resolver=None, process=False, force="mesh", validate=False, **options
        )
        vertices = np.array(loaded.vertices, np.float64)
        faces = np.array(loaded.faces, np.int64)
    except Exception as error:  # a parser of text that anyone may have written
        text = str(error).splitlines()
        reason = text[0][:160] if text else type(error).__name__
        raise BrokenMesh(f"{path}: not a readable {kind.upper()} mesh ({reason}); copy or export it again") from None
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3 or not len(faces):
        raise BrokenMesh(f"{path}: an empty mesh: no faces")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise BrokenMesh(f"{path}: faces of vertices that are not there ({len(vertices)} are)")
    return vertices, faces


def _normalised(vertices: np.ndarray, faces: np.ndarray, up: str, path: Path) -> Mesh:
    vertices, faces = _used(vertices, faces)
    if not np.isfinite(vertices).all():
        raise BrokenMesh(f"{path}: coordinates that are NaN or infinite")
    with np.errstate(over="ignore"):
        longest = float((vertices.max(axis=0) - vertices.min(axis=0)).max())
    if not 1e-30 < longest < 1e30:
        raise BrokenMesh(f"{path}: zero area, or a size of {longest:.3g} that no computation survives")
    vertices = (vertices - vertices.min(axis=0)) / longest
    corners = vertices[faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    faces = faces[areas > 1e-12 * edges**2]
    if not len(faces):
        raise BrokenMesh(f"{path}: zero area: all its faces are lines or points")
    vertices, faces = _used(vertices, faces)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    scale = min(1.0 / float((high - low).max()), _LONGEST_DIAGONAL / float(np.linalg.norm(high - low)))
    vertices = (vertices - (low + high) / 2) * scale
    if up == "z":
        vertices = vertices @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return Mesh(vertices, faces.astype(np.int32), np.full((len(faces), 3), _GREY, np.float32))


def _used(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same without vertices that no face has."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3)
