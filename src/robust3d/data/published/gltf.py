"""Reads glTF, with buffers and pictures in files beside it or inside (GLB): geometry through trimesh, the look here.

trimesh gets the bytes of the buffers and never a name of a file. It passes over pictures that it cannot find, integer
places in pictures, transforms of them and colours beside materials, so all of these are read from the JSON here.
"""

import base64
import binascii
import copy
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robust3d.data.published.files import MIB
from robust3d.data.published.materials import read_picture
from robust3d.data.published.mesh_text import BrokenMesh
from robust3d.data.published.rooted import Files, NotThere, find, without_root
from robust3d.errors import UserError
from robust3d.shapes.mesh import Material

_MOST_BYTES = 1024 * MIB
_MOST_BYTES_PICTURE = 256 * MIB
_JSON, _BIN = b"JSON", b"BIN\0"
_REPEAT, _CLAMP = 10497, 33071  # of a sampler
_READ = ("KHR_texture_transform", "KHR_mesh_quantization", "EXT_texture_webp")  # extensions, and all of materials
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


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
    """A file's JSON, the buffers that it names, and what cannot be read of its look."""

    header: dict[str, Any]
    buffers: list[bytes]
    files: Files
    name: str
    texture_px: int
    faults: list[str]
    pictures: dict[tuple[int, bool], bytes | None] = field(default_factory=dict)


def read_parts(
    content: bytes, path: Path, files: Files, name: str, texture_px: int, grey: float, faults: list[str]
) -> list[Part]:
    """The parts of a scene, in the order of the file.

    Args:
        content: of the file.
        path: for messages.
        files: where its buffers and pictures are looked for.
        name: of the file in there.
        texture_px: larger pictures are scaled down to so many pixels a side.
        grey: linear colour of what has neither material nor colours.
        faults: gets what cannot be read of the look.

    Raises:
        BrokenMesh: what cannot be read is part of the shape. trimesh raises other errors about damaged files.
    """
    import trimesh  # only users of this format need it

    header, binary = _container(content, path)
    _check(header, path)
    buffers = _buffers(header, binary, path, files, name)
    document = _Document(header, buffers, files, name, texture_px, faults)
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
    return [_part(document, solid, turn, primitives[number], grey) for number, turn, solid in found]


def _container(content: bytes, path: Path) -> tuple[dict[str, Any], bytes | None]:
    """The JSON and the buffer inside."""
    text, binary = content, None
    if content[:4] == b"glTF":
        if len(content) < 20 or content[12 + 4 : 20] != _JSON:
            raise BrokenMesh(f"{path}: cannot be read (no JSON in it); export it again")
        at, text = 12, b""
        while at + 8 <= len(content):
            size, kind = struct.unpack_from("<I4s", content, at)
            chunk = content[at + 8 : at + 8 + size]
            if len(chunk) < size:
                raise BrokenMesh(f"{path}: cannot be read (cut off); copy it again")
            if kind == _JSON and not text:
                text = chunk
            elif kind == _BIN and binary is None:
                binary = chunk
            at += 8 + size
    try:
        header = json.loads(text.decode("utf-8-sig"))
        version = str(header["asset"]["version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BrokenMesh(f"{path}: cannot be read (no glTF: {error!r:.100}); export it again") from None
    if not version.startswith("2"):
        raise BrokenMesh(f"{path}: glTF {version[:20]} is not read; export it as glTF 2")
    return header, binary


def _check(header: dict[str, Any], path: Path) -> None:
    """Refuse what would be another shape without what is not read.

    Raises:
        BrokenMesh: naming it.
    """
    needed = [n for n in header.get("extensionsRequired", []) if n not in _READ and not n.startswith("KHR_materials_")]
    if needed:
        raise BrokenMesh(f"{path}: needs the extension {needed[0]}, which is not read; export it without")
    accessors = header.get("accessors", [])
    for mesh in header.get("meshes", []):
        for primitive in mesh["primitives"]:
            if primitive.get("mode", _TRIANGLES) == _FAN:
                raise BrokenMesh(f"{path}: fans of triangles are not read; export it as triangles")
            used = [primitive["attributes"].get("POSITION"), primitive.get("indices")]
            for accessor in (accessors[number] for number in used if number is not None):
                if "sparse" in accessor or "bufferView" not in accessor:
                    raise BrokenMesh(f"{path}: sparse or compressed geometry is not read; export it without")


def _buffers(header: dict[str, Any], binary: bytes | None, path: Path, files: Files, name: str) -> list[bytes]:
    found = []
    for number, buffer in enumerate(header.get("buffers", [])):
        try:
            data = fetch(files, name, buffer["uri"], _MOST_BYTES) if "uri" in buffer else binary
        except UserError as error:
            raise BrokenMesh(f"{path}: buffer {number}: {error}") from None
        if data is None or len(data) < buffer["byteLength"]:
            raise BrokenMesh(f"{path}: buffer {number} is missing or cut off; copy or export it again")
        found.append(data)
    return found


def fetch(files: Files, name: str, uri: str, limit_bytes: int) -> bytes:
    """What a URI names: data that stand in it, or a file below the root.

    Args:
        files: where to look.
        name: of the file that holds the URI, which counts from its folder.
        uri: `data:…`, or a relative one; percent-encoded, as the standard has it, or not, as some programs write.
        limit_bytes: largest size.

    Raises:
        UserError: nothing is there, or it leads out of the root.
    """
    if uri[:5].lower() == "data:":
        head, _, body = uri[5:].partition(",")
        try:
            raw = unquote_to_bytes(body)
            return base64.b64decode(raw, validate=True) if head.lower().endswith(";base64") else raw
        except binascii.Error as error:
            raise UserError(f"data in a URI that cannot be read ({error})") from None
    try:
        return files.read(find(files, name, unquote(uri)), limit_bytes)
    except NotThere:
        if "%" not in uri:
            raise
        return files.read(find(files, name, uri), limit_bytes)


def _geometry_alone(header: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The JSON without its look, and its primitives, whose number is the name of their only material there."""
    plain = copy.deepcopy(header)
    for name in ("images", "textures", "samplers", "cameras", "skins", "extensionsRequired", "extensionsUsed"):
        plain.pop(name, None)
    for number, buffer in enumerate(plain.get("buffers", [])):
        buffer["uri"] = str(number)
    for node in plain.get("nodes", []):
        node.pop("camera", None)
    primitives: list[dict[str, Any]] = []
    materials: list[dict[str, str]] = []
    for mesh, whole in zip(plain.get("meshes", []), header.get("meshes", []), strict=True):
        for primitive, original in zip(mesh["primitives"], whole["primitives"], strict=True):
            primitive.pop("extensions", None)
            primitive.pop("targets", None)
            given = primitive["attributes"]
            kept = ("TEXCOORD_0", "TEXCOORD_1", "COLOR_0")  # trimesh passes on as it is what begins with _
            primitive["attributes"] = {"POSITION": given["POSITION"]} | {f"_{n}": given[n] for n in kept if n in given}
            primitive["material"] = len(materials)
            materials.append({"name": str(len(materials))})
            primitives.append(original)
    plain["materials"] = materials
    return plain, primitives


def _part(document: _Document, solid: Any, turn: NDArray[np.float64], primitive: dict[str, Any], grey: float) -> Part:
    faces = np.asarray(solid.faces, np.int64)
    vertices = np.asarray(solid.vertices, np.float64) @ turn[:3, :3].T + turn[:3, 3]
    corners = faces if np.linalg.det(turn[:3, :3]) > 0 else faces[:, ::-1]  # a mirror turns the sides about
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
    mode, colours = given.get("alphaMode", "OPAQUE"), colours * np.float32(factor[:3])
    material, picture = Material(float(factor[3]) if mode == "BLEND" else 1.0), None
    if image is not None:
        picture = _picture(document, image, mode == "OPAQUE", name)
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
    """An attribute of vertices; integers as shares of the largest one."""
    if name not in primitive["attributes"]:
        return None
    raw = np.asarray(solid.vertex_attributes[f"_{name}"])
    accessor = document.header["accessors"][primitive["attributes"][name]]
    if "sparse" in accessor or "bufferView" not in accessor:
        document.faults.append(f"{name} is sparse or compressed")
        return None
    return raw / np.iinfo(raw.dtype).max if accessor.get("normalized") and raw.dtype.kind in "iu" else raw.astype(float)


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
    cutoff = given.get("alphaCutoff", 0.5)
    if given.get("alphaMode") == "MASK" and cutoff != 0.5:
        document.faults.append(f"material {name}: holes where alpha is below {cutoff:g}, cut at 0.5")
    if "baseColorTexture" not in base:
        return base, None
    texture = document.header["textures"][base["baseColorTexture"]["index"]]
    webp = texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source")
    image = texture.get("source", webp)
    if image is None:
        document.faults.append(f"picture of material {name}: none in a format that is read")
    return base, image


def _picture(document: _Document, number: int, is_opaque: bool, name: str) -> bytes | None:
    """A picture as PNG; without alpha where the material is opaque."""
    key = number, is_opaque
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
            document.pictures[key] = _without_alpha(picture) if is_opaque else picture
        except (ValueError, KeyError, IndexError) as error:  # UserError is a ValueError, as the readers' own
            document.faults.append(f"picture of material {name}: {without_root(str(error), document.files)[:200]}")
            document.pictures[key] = None
    return document.pictures[key]


def _without_alpha(picture: bytes) -> bytes:
    image, file = Image.open(io.BytesIO(picture)), io.BytesIO()
    if image.mode == "RGB":
        return picture
    image.convert("RGB").save(file, "PNG")
    return file.getvalue()


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
