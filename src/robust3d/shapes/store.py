"""Meshes on disk: one .npz a class in which equal arrays (the faces of all stretched geons, say) stand once.

So do equal pictures. Meshes without paint and faults give the same bytes as before there were any.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from robust3d.errors import UserError, why_unreadable
from robust3d.shapes.mesh import Material, Mesh, Paint

_FIELDS = ("vertices", "faces", "colours")
_PAINT = ("of_face", "uv")


def save_meshes(meshes: Mapping[str, Mesh], path: Path, manifest: Path) -> None:
    """Write the meshes of a class and a manifest of them; the same meshes give the same bytes.

    Args:
        meshes: by instance id; finite, not empty.
        path: of the .npz.
        manifest: JSON, by instance: digests of the arrays, box, number of faces.

    Raises:
        ValueError: a mesh is empty or has a coordinate that is not a number.
    """
    arrays: dict[str, np.ndarray] = {}
    entries = {}
    for instance, mesh in meshes.items():
        if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
            raise ValueError(f"{instance}: an empty mesh or one with coordinates that are not numbers")
        names = {}
        for field, array in _arrays(mesh).items():
            names[field] = hashlib.sha256(_content(array)).hexdigest()
            arrays[names[field]] = array
        entries[instance] = {
            **names,
            **({"paint": _paint_entry(mesh.paint)} if mesh.paint else {}),
            **({"faults": list(mesh.faults)} if mesh.faults else {}),
            "smooth_angle_deg": mesh.smooth_angle_deg,
            "box": [mesh.vertices.min(0).tolist(), mesh.vertices.max(0).tolist()],
            "triangles": len(mesh.faces),
        }
    text = json.dumps(entries, indent=1, sort_keys=True) + "\n"
    with path.open("wb") as file:
        index = np.frombuffer(text.encode(), np.uint8)
        np.savez_compressed(file, index=index, **{name: arrays[name] for name in sorted(arrays)})
    manifest.write_text(text, encoding="utf-8")


def _arrays(mesh: Mesh) -> dict[str, np.ndarray]:
    """All that is stored of a mesh but a few words, by the name that stands in its entry."""
    arrays = {field: np.ascontiguousarray(getattr(mesh, field)) for field in _FIELDS}
    if mesh.paint:
        arrays |= {field: np.ascontiguousarray(getattr(mesh.paint, field)) for field in _PAINT}
        pictures = enumerate(mesh.paint.pictures)
        arrays |= {f"picture {number}": np.frombuffer(picture, np.uint8) for number, picture in pictures}
    return arrays


def _paint_entry(paint: Paint) -> dict[str, Any]:
    return {"materials": [asdict(material) for material in paint.materials], "pictures": len(paint.pictures)}


def _content(array: np.ndarray) -> bytes:
    return f"{array.dtype.str}{array.shape}".encode() + array.tobytes()


def mesh_digest(mesh: Mesh) -> str:
    """sha256 of everything that a renderer reads of a mesh."""
    digest = hashlib.sha256(repr(mesh.smooth_angle_deg).encode())
    for array in _arrays(mesh).values():
        digest.update(_content(array))
    if mesh.paint:
        digest.update(json.dumps(_paint_entry(mesh.paint), sort_keys=True).encode())
    return digest.hexdigest()


def load_meshes(path: Path, instances: list[str] | None = None) -> dict[str, Mesh]:
    """The meshes of some instances, or of all.

    Raises:
        UserError: the file is missing or damaged, or does not hold one of them.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            entries = json.loads(file["index"].tobytes())
            names = sorted(entries) if instances is None else instances
            return {instance: _mesh(file, entries[instance]) for instance in names}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of meshes; make it with snakemake") from None
    except Exception as error:  # zip, zlib, numpy and JSON each have their own for a damaged file
        damaged = f"damaged, or not a file of meshes ({error!r:.160}); delete it to make it again"
        raise why_unreadable(path, error, damaged) from None


def _mesh(file: Any, entry: dict[str, Any]) -> Mesh:
    vertices, faces, colours = (file[entry[field]] for field in _FIELDS)
    if vertices.shape[1:] != (3,) or faces.shape[1:] != (3,) or colours.shape not in (faces.shape, (*faces.shape, 3)):
        raise ValueError("arrays of other shapes than a mesh's")
    if not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError("faces or vertices that cannot be")
    paint = _paint(file, entry, len(faces)) if "paint" in entry else None
    faults = tuple(entry.get("faults", ()))
    return Mesh(vertices, faces, colours, float(entry["smooth_angle_deg"]), paint, faults)


def _paint(file: Any, entry: dict[str, Any], faces: int) -> Paint:
    of_face, uv = (file[entry[field]] for field in _PAINT)
    pictures = tuple(file[entry[f"picture {number}"]].tobytes() for number in range(entry["paint"]["pictures"]))
    materials = tuple(Material(**material) for material in entry["paint"]["materials"])
    if of_face.shape != (faces,) or uv.shape != (faces, 3, 2) or not np.isfinite(uv).all():
        raise ValueError("arrays of other shapes than a mesh's")
    if of_face.min() < 0 or of_face.max() >= len(materials):
        raise ValueError("materials that are not there")
    return Paint(materials, of_face, uv, pictures)
