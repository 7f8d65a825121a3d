"""Reads PLY and glTF (.gltf, .glb) meshes: triangles, colours, materials with pictures; PLY through trimesh."""

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from robust3d.data.published.files import MIB
from robust3d.data.published.gltf import Part, read_parts
from robust3d.data.published.looks import GREY, Dressed, Triangles
from robust3d.data.published.materials import linear, read_picture
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.rooted import Files, find
from robust3d.shapes.mesh import Material, Paint

KINDS = (".ply", ".glb", ".gltf")
_TEXTURE = re.compile(rb"comment[ \t]+TextureFile[ \t]+([^\r\n]*)", re.IGNORECASE)
_PLACE = re.compile(rb"(property[^\r\n]*[ \t])((?:texture_)?[uv]|[st]|texcoord)\b(?=[ \t]*\r?\n)")


def read_scene(
    content: bytes, path: Path, files: Files, name: str, texture_px: int, max_faces: int
) -> tuple[np.ndarray, Triangles, Dressed]:
    """Vertices (V, 3), triangles and their look. Colours of PLY count as sRGB, those of glTF are linear.

    Args:
        content: of the file.
        path: for messages.
        files: where it lies, and what it names.
        name: of the file in there.
        texture_px: larger pictures are scaled down to so many pixels a side.
        max_faces: more triangles are refused.

    Raises:
        BrokenMesh: damaged, empty or too large, or of parts that are not there.
    """
    faults: list[str] = []
    try:
        if path.suffix.lower() == ".ply":
            parts = _ply(content, files, name, texture_px, faults)
        else:
            parts = read_parts(content, path, files, name, texture_px, GREY, faults)
    except BrokenMesh:
        raise
    except Exception as error:  # trimesh raises whatever goes wrong
        why = str(error)[:160] or type(error).__name__
        raise BrokenMesh(f"{path}: cannot be read ({why}); export it again") from None
    counted = sum(len(part.faces) for part in parts)
    if not 0 < counted <= max_faces:
        raise BrokenMesh(f"{path}: {counted:,} triangles; there have to be some, and at most {max_faces:,}")
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([part.vertices for part in parts])
    if any(part.faces.min() < 0 or part.faces.max() >= len(part.vertices) for part in parts):
        raise BrokenMesh(f"{path}: faces of vertices that are not there")
    faces = np.concatenate([part.faces + at for part, at in zip(parts, offsets, strict=False)])
    if not np.isfinite(vertices[np.unique(faces)]).all():
        raise BrokenMesh(f"{path}: coordinates that are NaN or infinite")
    look = Dressed(np.concatenate([part.colours for part in parts]), _paint(parts), list(dict.fromkeys(faults))[:20])
    return vertices, Triangles(faces, np.arange(len(faces)), np.full(faces.shape, -1)), look


def _paint(parts: list[Part]) -> Paint | None:
    """Materials and pictures of all parts, each once; None if all are opaque and without pictures."""
    materials, pictures, chosen = [Material()], [], []
    for part in parts:
        material = part.material
        if part.picture is not None:
            if part.picture not in pictures:
                pictures.append(part.picture)
            material = Material(material.alpha, pictures.index(part.picture), material.clamp)
        if material not in materials:
            materials.append(material)
        chosen.append(np.full(len(part.faces), materials.index(material), np.int32))
    if len(materials) == 1:
        return None
    places = np.concatenate([part.places for part in parts])
    return Paint(tuple(materials), np.concatenate(chosen), places, tuple(pictures))


def _ply(content: bytes, files: Files, name: str, texture_px: int, faults: list[str]) -> list[Part]:
    import trimesh  # only users of these formats need it

    head, end, body = content.partition(b"end_header")
    named = [line.decode("utf-8", "replace").strip() for line in _TEXTURE.findall(head)]
    picture = None
    if named:
        try:
            picture = read_picture(files.read(find(files, name, named[-1]), 256 * MIB), texture_px)
        except ValueError as error:  # UserError is one
            faults.append(f"picture {str(error)[:200]}")
    if len(named) > 1:
        faults.append(f"{len(named)} pictures; {named[-1][:80]} is shown everywhere")
    if picture is None:  # trimesh would invent a picture, and pass over colours
        head = _PLACE.sub(rb"\1_\2", _TEXTURE.sub(b"comment", head))
    given: Any = SimpleNamespace(get=lambda reference: picture)
    file = io.BytesIO(head + end + body)
    scene: Any = trimesh.load(file, file_type="ply", resolver=given, process=False, force="scene")
    solids = [solid for solid in scene.dump(concatenate=False) if len(getattr(solid, "faces", ()))]
    return [_solid(solid, picture, faults) for solid in solids]


def _solid(solid: Any, picture: bytes | None, faults: list[str]) -> Part:
    """What trimesh read of a PLY."""
    faces = np.asarray(solid.faces, np.int64)
    colours, places = np.full((*faces.shape, 3), GREY, np.float32), np.zeros((*faces.shape, 2), np.float32)
    kind = getattr(solid.visual, "kind", None)
    if kind == "vertex":
        colours = linear(np.asarray(solid.visual.vertex_colors, np.float64)[..., :3] / 255)[faces]
    elif kind == "face":
        colours = np.repeat(linear(np.asarray(solid.visual.face_colors, np.float64)[:, None, :3] / 255), 3, axis=1)
    uv = getattr(solid.visual, "uv", None)
    if picture is not None and (uv is None or not np.isfinite(uv).all()):
        faults.append("faces have no place in the picture")
        picture = None
    if picture is not None:
        corners = np.asarray(uv, np.float64)[faces]
        places = (corners - np.floor(corners.min(axis=1, keepdims=True))).astype(np.float32)
        colours = np.ones_like(colours)
    return Part(np.asarray(solid.vertices, np.float64), faces, colours, Material(), picture, places)
