"""Reads glTF, with buffers and pictures in files beside it or inside (GLB): geometry through trimesh, the look here.

trimesh gets the bytes of the buffers and never a name of a file. It passes over pictures that it cannot find, integer
places in pictures, transforms of them and colours beside materials, so all of these are read from the JSON here.
"""

import copy
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robust3d.data.published.files import MIB
from robust3d.data.published.gltf_file import container, fetch, read_buffers
from robust3d.data.published.holes import cut_at, shows_nothing, without_alpha
from robust3d.data.published.materials import read_picture
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.rooted import Files, without_root
from robust3d.data.published.skins import NoSkin, joint_matrices, vertex_matrices
from robust3d.shapes.mesh import Material, Paint

_MOST_BYTES_PICTURE = 256 * MIB
_REPEAT, _CLAMP = 10497, 33071  # of a sampler
_READ = ("KHR_texture_transform", "KHR_mesh_quantization", "EXT_texture_webp")  # extensions, and all of materials
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_LARGEST = {5120: 127, 5121: 255, 5122: 32767, 5123: 65535}  # of whole numbers that stand for shares
_KEPT = ("TEXCOORD_0", "TEXCOORD_1", "COLOR_0", "JOINTS_0", "WEIGHTS_0")  # attributes beside the position
_INSTANCING = "EXT_mesh_gpu_instancing"
_Cut = tuple[float, float]  # what alpha is multiplied by, and below what the picture has a hole then


@dataclass
class Part:
    """The triangles of one material at one place of the scene.

    Attributes:
        vertices: (V, 3).
        faces: (F, 3) from 0.
        colours: (F, 3, 3) linear.
        material: without its picture.
        picture: PNG, or None.
        places: (F, 3, 2) in it, (0, 0) the lower left corner.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colours: NDArray[np.float32]
    material: Material
    picture: bytes | None
    places: NDArray[np.float32]


@dataclass
class _Document:
    """A file's JSON, the buffers that it names, and what cannot be read of its look and its shape."""

    header: dict[str, Any]
    buffers: list[bytes]
    files: Files
    name: str
    texture_px: int
    faults: list[str]
    shape_faults: list[str]
    pictures: dict[tuple[int, _Cut | None], bytes | None] = field(default_factory=dict)


def read_parts(
    content: bytes, path: Path, files: Files, name: str, texture_px: int, grey: float
) -> tuple[list[Part], list[str], list[str]]:
    """The parts of a scene, in the order of the file, and what cannot be read of their look and of their shape.

    Args:
        content: of the file.
        path: for messages.
        files: where its buffers and pictures are looked for.
        name: of the file in there.
        texture_px: larger pictures are scaled down to so many pixels a side.
        grey: linear colour of what has neither material nor colours.

    Raises:
        BrokenMesh: what cannot be read is part of the shape. trimesh raises other errors about damaged files.
    """
    import trimesh  # only users of this format need it

    header, binary = container(content, path)
    _check(header, path)
    buffers = read_buffers(header, binary, path, files, name)
    document = _Document(header, buffers, files, name, texture_px, [], _not_followed(header))
    plain, primitives = _geometry_alone(header)
    resolver = {str(number): buffer for number, buffer in enumerate(buffers)}
    text = io.BytesIO(json.dumps(plain).encode())
    scene: Any = trimesh.load(text, file_type="gltf", resolver=resolver, process=False, force="scene")  # type: ignore[arg-type]
    found = []
    for node in scene.graph.nodes_geometry:
        turn, geometry = scene.graph[node]
        solid = scene.geometry[geometry]
        if len(getattr(solid, "faces", ())):  # else lines or points
            found.append((int(solid.visual.material.name), np.asarray(turn, np.float64), solid))
    found.sort(key=lambda one: (one[0], one[1].tobytes()))  # trimesh names some nodes at random
    parts = [_part(document, solid, turn, primitives[number], grey) for number, turn, solid in found]
    return parts, document.faults, document.shape_faults


def _check(header: dict[str, Any], path: Path) -> None:
    """Refuse what would be another shape without what is not read.

    Raises:
        BrokenMesh: naming it.
    """
    needed = [n for n in header.get("extensionsRequired", []) if n not in _READ and not n.startswith("KHR_materials_")]
    if needed:
        raise BrokenMesh(f"{path}: needs the extension {needed[0]}, which is not read; export it without")
    if any(_INSTANCING in node.get("extensions", {}) for node in header.get("nodes", [])):
        raise BrokenMesh(f"{path}: copies of meshes by {_INSTANCING} are not read; export it without")
    accessors = header.get("accessors", [])
    for mesh in header.get("meshes", []):
        for primitive in mesh["primitives"]:
            if primitive.get("mode", _TRIANGLES) == _FAN:
                raise BrokenMesh(f"{path}: fans of triangles are not read; export it as triangles")
            used = [primitive["attributes"].get("POSITION"), primitive.get("indices")]
            for accessor in (accessors[number] for number in used if number is not None):
                if "sparse" in accessor or "bufferView" not in accessor:
                    raise BrokenMesh(f"{path}: sparse or compressed geometry is not read; export it without")


def _not_followed(header: dict[str, Any]) -> list[str]:
    """What changes the shape of meshes, and is passed over."""
    found, meshes = [], header.get("meshes", [])
    for mesh in (meshes[node["mesh"]] | node for node in header.get("nodes", []) if "mesh" in node):
        name = str(mesh.get("name", mesh["mesh"]))[:60]
        if any(mesh.get("weights", ())) and any("targets" in one for one in mesh["primitives"]):
            found.append(f"mesh {name}: shown without its morph targets, which have weights")
        if any("JOINTS_1" in one["attributes"] for one in mesh["primitives"]):
            found.append(f"mesh {name}: more than four joints a vertex, of which four are followed")
    return found


def _geometry_alone(header: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The JSON without its look, and its primitives, whose number is the name of their only material there.

    Meshes of nodes with a skin stand there again, and their primitives tell the `skin`.
    """
    plain = copy.deepcopy(header)
    for name in ("images", "textures", "samplers", "cameras", "skins", "extensionsRequired", "extensionsUsed"):
        plain.pop(name, None)
    for number, buffer in enumerate(plain.get("buffers", [])):
        buffer["uri"] = str(number)
    originals = list(header.get("meshes", []))
    for node in plain.get("nodes", []):
        node.pop("camera", None)
        if "skin" in node and "mesh" in node:
            whole = originals[node["mesh"]]
            skinned = [one | {"skin": node["skin"]} for one in whole["primitives"]]
            originals.append(whole | {"primitives": skinned})
            plain["meshes"].append(copy.deepcopy(originals[-1]))
            node["mesh"] = len(originals) - 1
        node.pop("skin", None)
    primitives: list[dict[str, Any]] = []
    materials: list[dict[str, str]] = []
    for mesh, whole in zip(plain.get("meshes", []), originals, strict=True):
        for primitive, original in zip(mesh["primitives"], whole["primitives"], strict=True):
            primitive.pop("extensions", None)
            primitive.pop("targets", None)
            primitive.pop("skin", None)
            given = primitive["attributes"]
            beside = {f"_{n}": given[n] for n in _KEPT if n in given}  # trimesh passes on as it is what begins with _
            primitive["attributes"] = {"POSITION": given["POSITION"]} | beside
            primitive["material"] = len(materials)
            materials.append({"name": str(len(materials))})
            primitives.append(original)
    plain["materials"] = materials
    return plain, primitives


def _part(document: _Document, solid: Any, turn: NDArray[np.float64], primitive: dict[str, Any], grey: float) -> Part:
    faces = np.asarray(solid.faces, np.int64)
    vertices, is_mirrored = _placed(document, solid, turn, primitive)
    corners = faces[:, ::-1] if is_mirrored else faces  # a mirror turns the sides about
    attributes = {name: _shares(document, solid, primitive, name) for name in ("COLOR_0", "TEXCOORD_0", "TEXCOORD_1")}
    given = document.header["materials"][primitive["material"]] if "material" in primitive else None
    colours = np.full((*corners.shape, 3), grey if given is None and attributes["COLOR_0"] is None else 1, np.float32)
    if attributes["COLOR_0"] is not None:
        colours = attributes["COLOR_0"][corners][..., :3].astype(np.float32)
    places = np.zeros((*corners.shape, 2), np.float32)
    if given is None:
        return Part(vertices, corners, colours, Material(), None, places)
    name = str(given.get("name", primitive["material"]))[:60]
    base, image = _base(document, given, name)
    factor = np.clip(np.array(base.get("baseColorFactor", (1, 1, 1, 1)), np.float64), 0, 1)
    colours = colours * np.float32(factor[:3])
    mode, opacity, picture = given.get("alphaMode", "OPAQUE"), 1.0, None
    cut = None
    if mode != "OPAQUE":
        opacity = float(factor[3]) * _opacity(document, attributes["COLOR_0"], faces, name)
        cut = (1.0, Paint.CUT) if mode == "BLEND" else (opacity, float(given.get("alphaCutoff", 0.5)))
    if image is not None:
        picture = _picture(document, image, cut, name)
    if mode == "MASK" and cut is not None:
        opacity = 1.0 if picture is not None or cut[0] >= cut[1] else 0.0
    material = Material(opacity)
    if opacity < Paint.HOLE or (picture is not None and shows_nothing(picture)):
        document.faults.append(f"material {name} is fully transparent: nothing of it is shown")
    if picture is not None:
        found = _in_picture(document, base["baseColorTexture"], attributes, name)
        if found is None or not np.isfinite(found[0]).all():
            document.faults.append(f"material {name}: its faces have no place in the picture")
            picture = None
        else:
            uv, is_clamped = found
            places = uv[corners].astype(np.float32)
            if not is_clamped:
                places = (uv[corners] - np.floor(uv[corners].min(axis=1, keepdims=True))).astype(np.float32)
            material = Material(material.alpha, None, is_clamped)
    return Part(vertices, corners, colours, material, picture, places)


def _shares(document: _Document, solid: Any, primitive: dict[str, Any], name: str) -> NDArray[np.float64] | None:
    """An attribute of vertices; integers that stand for shares as these."""
    if name not in primitive["attributes"]:
        return None
    raw = np.asarray(solid.vertex_attributes[f"_{name}"])
    accessor = document.header["accessors"][primitive["attributes"][name]]
    if "sparse" in accessor or "bufferView" not in accessor:
        document.faults.append(f"{name} is sparse or compressed")
        return None
    return _unpacked(raw, accessor)


def _unpacked(raw: NDArray[Any], accessor: dict[str, Any]) -> NDArray[np.float64]:
    """Numbers of an accessor; integers that stand for shares as these."""
    largest = _LARGEST.get(accessor["componentType"])
    if largest is None or not accessor.get("normalized"):
        return np.asarray(raw, np.float64)
    shares: NDArray[np.float64] = np.maximum(np.asarray(raw, np.float64) / largest, -1)
    return shares


def _placed(
    document: _Document, solid: Any, turn: NDArray[np.float64], primitive: dict[str, Any]
) -> tuple[NDArray[np.float64], bool]:
    """Vertices in the scene, and whether they are mirrored. On joints, the place of their node counts for nothing."""
    vertices = _unpacked(solid.vertices, document.header["accessors"][primitive["attributes"]["POSITION"]])
    if "skin" not in primitive:
        return vertices @ turn[:3, :3].T + turn[:3, 3], bool(np.linalg.det(turn[:3, :3]) < 0)
    try:
        joints, weights = (_shares(document, solid, primitive, name) for name in ("JOINTS_0", "WEIGHTS_0"))
        if joints is None or weights is None:
            raise NoSkin("joints and weights of vertices")
        turns = vertex_matrices(joint_matrices(document.header, document.buffers, primitive["skin"]), joints, weights)
    except NoSkin as error:
        document.shape_faults.append(f"a mesh on joints is shown in its rest pose: {error} cannot be read")
        return vertices, False
    moved = np.einsum("vij,vj->vi", turns[:, :3, :3], vertices) + turns[:, :3, 3]
    return moved, bool(np.linalg.det(turns[:, :3, :3]).mean() < 0)


def _opacity(document: _Document, colours: NDArray[np.float64] | None, faces: NDArray[np.int64], name: str) -> float:
    """How opaque the vertices of faces are: their mean."""
    if colours is None or colours.shape[1] < 4:
        return 1.0
    used = np.clip(colours[np.unique(faces), 3], 0, 1)
    if np.ptp(used) > 1 / 255:
        document.faults.append(f"material {name}: opacity that differs from vertex to vertex; its mean is shown")
    return float(used.mean())


def _base(document: _Document, given: dict[str, Any], name: str) -> tuple[dict[str, Any], int | None]:
    """Base colour of a material, and the number of its image."""
    base, extensions = given.get("pbrMetallicRoughness", {}), given.get("extensions", {})
    if "KHR_materials_pbrSpecularGlossiness" in extensions:
        old = extensions["KHR_materials_pbrSpecularGlossiness"]
        base = {"baseColorFactor": old.get("diffuseFactor", (1, 1, 1, 1))}
        if "diffuseTexture" in old:
            base["baseColorTexture"] = old["diffuseTexture"]
    if any(given.get("emissiveFactor", ())):
        document.faults.append(f"material {name} glows, which is not shown")
    if extensions.get("KHR_materials_transmission", {}).get("transmissionFactor"):
        document.faults.append(f"material {name} is glass by KHR_materials_transmission; it is shown opaque")
    if "baseColorTexture" not in base:
        return base, None
    texture = document.header["textures"][base["baseColorTexture"]["index"]]
    webp = texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source")
    image = texture.get("source", webp)
    if image is None:
        document.faults.append(f"picture of material {name}: none in a format that is read")
    return base, image


def _picture(document: _Document, number: int, cut: _Cut | None, name: str) -> bytes | None:
    """A picture as PNG, with holes by `cut`; None: without any."""
    key = number, cut
    if key not in document.pictures:
        image = document.header["images"][number]
        try:
            if "bufferView" in image:
                view = document.header["bufferViews"][image["bufferView"]]
                start = view.get("byteOffset", 0)
                content = document.buffers[view["buffer"]][start : start + view["byteLength"]]
            else:
                content = fetch(document.files, document.name, image["uri"], _MOST_BYTES_PICTURE)
            picture = read_picture(content, document.texture_px)
            document.pictures[key] = without_alpha(picture) if cut is None else cut_at(picture, *cut)
        except (ValueError, KeyError, IndexError) as error:  # UserError is a ValueError, as the readers' own
            document.faults.append(f"picture of material {name}: {without_root(str(error), document.files)[:200]}")
            document.pictures[key] = None
    return document.pictures[key]


def _in_picture(
    document: _Document, texture: dict[str, Any], attributes: dict[str, NDArray[np.float64] | None], name: str
) -> tuple[NDArray[np.float64], bool] | None:
    """Places of vertices in a picture, (0, 0) the lower left corner, and whether it is clamped."""
    transform = texture.get("extensions", {}).get("KHR_texture_transform", {})
    uv = attributes.get(f"TEXCOORD_{transform.get('texCoord', texture.get('texCoord', 0))}")
    if uv is None:
        return None
    if transform.get("rotation"):
        document.faults.append(f"material {name}: a picture that is turned, which is not followed")
    scale: Sequence[float] = transform.get("scale", (1, 1))
    uv = uv * scale + transform.get("offset", (0, 0))
    sampler = document.header["textures"][texture["index"]].get("sampler")
    wraps = document.header["samplers"][sampler] if sampler is not None else {}
    kinds = {wraps.get("wrapS", _REPEAT), wraps.get("wrapT", _REPEAT)}
    leaves = (uv < 0).any() or (uv > 1).any()
    if leaves and kinds not in ({_REPEAT}, {_CLAMP}):
        document.faults.append(f"material {name}: a picture that is mirrored at its borders, or repeated in one "
                               "direction only, is shown repeated")  # fmt: skip
    return np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1), bool(leaves) and kinds == {_CLAMP}
