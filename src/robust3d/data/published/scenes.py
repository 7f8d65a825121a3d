"""Reads glTF meshes (.gltf, .glb): triangles, colours, materials with pictures."""

from pathlib import Path

import numpy as np

from robust3d.data.published.files import why
from robust3d.data.published.gltf import Part, read_parts
from robust3d.data.published.looks import GREY, Dressed, Triangles
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.rooted import Files
from robust3d.shapes.mesh import Material, Paint

KINDS = (".glb", ".gltf")


def read_scene(
    content: bytes, path: Path, files: Files, name: str, texture_px: int, max_faces: int
) -> tuple[np.ndarray, Triangles, Dressed, list[str]]:
    """Vertices (V, 3), triangles, their look, and faults of the shape. Colours of glTF are linear.

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
    try:
        parts, faults, shape_faults = read_parts(content, path, files, name, texture_px, GREY)
    except BrokenMesh:
        raise
    except Exception as error:  # trimesh raises whatever goes wrong
        raise BrokenMesh(f"{path}: cannot be read ({why(error)}); export it again") from None
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
    triangles = Triangles(faces, np.arange(len(faces)), np.full(faces.shape, -1))
    return vertices, triangles, look, list(dict.fromkeys(shape_faults))[:20]


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
