"""Reads PLY and glTF (GLB) meshes through trimesh: triangles, colours, materials with pictures."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from robust3d.data.published.looks import GREY, Dressed, Triangles
from robust3d.data.published.materials import linear, read_picture
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.shapes.mesh import Material, Paint

KINDS = (".ply", ".glb")


def read_scene(content: bytes, path: Path, texture_px: int, max_faces: int) -> tuple[np.ndarray, Triangles, Dressed]:
    """Vertices (V, 3), triangles and their look. Colours of PLY count as sRGB, those of glTF are linear.

    Raises:
        BrokenMesh: damaged, empty or too large.
    """
    import trimesh  # only users of these formats need it

    try:
        scene: Any = trimesh.load(io.BytesIO(content), file_type=path.suffix[1:].lower(), process=False, force="scene")
        parts = [part for part in scene.dump(concatenate=False) if len(getattr(part, "faces", ()))]
        counted = sum(len(part.faces) for part in parts)
    except Exception as error:  # the library raises whatever goes wrong
        raise BrokenMesh(
            f"{path}: cannot be read ({str(error)[:160] or type(error).__name__}); export it again"
        ) from None
    if not 0 < counted <= max_faces:
        raise BrokenMesh(f"{path}: {counted:,} triangles; there have to be some, and at most {max_faces:,}")
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([np.asarray(part.vertices, np.float64) for part in parts])
    faces = np.concatenate([np.asarray(part.faces, np.int64) + at for part, at in zip(parts, offsets, strict=False)])
    if faces.min() < 0 or faces.max() >= len(vertices) or not np.isfinite(vertices[np.unique(faces)]).all():
        raise BrokenMesh(f"{path}: faces of vertices that are not there, or coordinates that are NaN or infinite")
    is_linear = path.suffix.lower() == ".glb"
    look = Dressed(np.full((len(faces), 3, 3), GREY, np.float32))
    materials, pictures, chosen, uv = [Material()], [], [], []
    for part, at in zip(parts, np.cumsum([0, *(len(part.faces) for part in parts)]), strict=False):
        here = slice(at, at + len(part.faces))
        material, colours, places, picture = _part(part, is_linear, texture_px, look.faults)
        look.colours[here] = colours
        if picture is not None:
            if picture not in pictures:
                pictures.append(picture)
            material = Material(material.alpha, pictures.index(picture))
        if material not in materials:
            materials.append(material)
        chosen.append(np.full(len(part.faces), materials.index(material), np.int32))
        uv.append(places)
    if len(materials) > 1:
        look.paint = Paint(tuple(materials), np.concatenate(chosen), np.concatenate(uv), tuple(pictures))
    source = np.arange(len(faces))
    return vertices, Triangles(faces, source, np.full(faces.shape, -1)), look


def _part(
    part: Any, is_linear: bool, texture_px: int, faults: list[str]
) -> tuple[Material, Any, np.ndarray, bytes | None]:
    """Material without picture, colours that fit (F, 3, 3), places (F, 3, 2), and the picture as PNG."""
    faces, places = np.asarray(part.faces), np.zeros((len(part.faces), 3, 2), np.float32)

    def convert(levels: Any) -> np.ndarray:
        shares = np.asarray(levels, np.float64)[..., :3] / 255
        return shares.astype(np.float32) if is_linear else linear(shares)

    kind = getattr(part.visual, "kind", None)
    if kind == "vertex":
        return Material(), convert(part.visual.vertex_colors)[faces], places, None
    if kind == "face":
        return Material(), convert(part.visual.face_colors)[:, None], places, None
    given = getattr(part.visual, "material", None)
    if kind != "texture" or given is None or not hasattr(given, "baseColorFactor"):
        return Material(), np.float32(GREY), places, None
    factor = np.array([255] * 4 if given.baseColorFactor is None else given.baseColorFactor, float).ravel() / 255
    mode = given.alphaMode or "OPAQUE"
    if mode == "MASK" and (given.alphaCutoff or 0.5) != 0.5:
        faults.append(f"material {given.name or ''}: holes where alpha is below {given.alphaCutoff:g}, cut at 0.5")
    material = Material(float(factor[3]) if mode == "BLEND" else 1.0)
    colour = np.float32(factor[:3])
    if given.baseColorTexture is None:
        return material, colour, places, None
    try:
        image = given.baseColorTexture
        file = io.BytesIO()
        (image.convert("RGB") if mode == "OPAQUE" else image.convert("RGBA")).save(file, "PNG")
        picture = read_picture(file.getvalue(), texture_px)
        corners = np.asarray(part.visual.uv, np.float64)[faces]
        if not np.isfinite(corners).all():
            raise ValueError("no places in it")
    except Exception as error:  # a picture that Pillow cannot decode, or no places
        faults.append(f"picture of material {given.name or ''}: {str(error)[:160]}")
        return material, colour, places, None
    places = (corners - np.floor(corners.min(axis=1, keepdims=True))).astype(np.float32)
    return material, colour, places, picture
