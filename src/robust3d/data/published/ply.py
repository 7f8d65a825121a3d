"""Parses PLY, text or binary, into vertices and polygons of any sizes, with colours and places in pictures.

A row of an element with lists has as many bytes as its lists say. Rows are read in runs of rows alike: a file of
triangles alone is one run. Text is read as if it were binary, every number of it a double.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robust3d.data.published.materials import Described, Map
from robust3d.data.published.mesh_text import BrokenMesh, Look, Polygons, read_colours

_START = re.compile(rb"ply[ \t]*(\r\n|\n|\r)")
_END = re.compile(rb"[\r\n][ \t]*end_header[ \t]*(?=[\r\n]|$)")
_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4"},
    **{"double": "f8", "float64": "f8"},
}
_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
_CORNERS = ("vertex_indices", "vertex_index")
_COLOURS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
_PLACES = (("texture_u", "texture_v"), ("s", "t"), ("u", "v"))  # of vertices; exporters differ
_LARGEST = {"u1": 255, "u2": 65535}  # of a colour; other whole numbers go to 255
_MOST_IN_LIST = 1 << 20


@dataclass(frozen=True)
class _Property:
    name: str
    kind: str  # as in the header, of numpy
    counted_by: str = ""  # of a list: the kind of the number of its entries


@dataclass
class _Element:
    name: str
    rows: int
    properties: list[_Property]


@dataclass
class _Rows:
    """Rows of an element whose lists have the same lengths.

    Attributes:
        places: (k,) among the element's rows.
        table: (k,) their numbers by the properties' names; of a list (k, n).
    """

    places: NDArray[np.int64]
    table: NDArray[np.void]

    def __contains__(self, name: str) -> bool:
        return name in (self.table.dtype.names or ())

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.table[name], np.float64)

    @functools.cached_property
    def corners(self) -> NDArray[np.float64] | None:
        """(k, n) vertices of faces; None: they have no such list."""
        name = next((name for name in _CORNERS if name in self and self.table[name].ndim == 2), None)
        return None if name is None else self[name]


def parse_ply(content: bytes, path: Path, max_faces: int) -> Polygons:
    """The vertices and polygons of a PLY, with its colours, pictures and the corners' places in them.

    Args:
        content: of the file.
        path: for messages.
        max_faces: judged by the header.

    Raises:
        BrokenMesh: not PLY, damaged, cut off, without faces, too large, or with faces of vertices that are not there.
    """
    elements, pictures, order, body = _header(content, path)
    rows = {element.name: element.rows for element in elements}
    if rows.get("tristrips") and not rows.get("face"):
        raise BrokenMesh(f"{path}: strips of triangles (tristrips) are not read; export it with faces")
    if not rows.get("vertex") or not rows.get("face"):
        raise BrokenMesh(f"{path}: an empty mesh: {rows.get('vertex', 0)} vertices, {rows.get('face', 0)} faces")
    if rows["face"] > max_faces or rows["vertex"] > 3 * max_faces:
        found = f"{rows['vertex']:,} vertices and {rows['face']:,} faces"
        raise BrokenMesh(f"{path}: claims {found}; at most {max_faces:,} faces are read, simplify it")
    data = _read(elements, order, body, path)
    by_name = {element.name: element for element in elements}
    if any(one.counted_by for one in by_name["vertex"].properties):
        raise BrokenMesh(f"{path}: vertices with lists of numbers are not read; export it again")
    (vertices,), faces = data["vertex"], data["face"]
    if not all(axis in vertices for axis in "xyz"):
        raise BrokenMesh(f"{path}: vertices without x, y and z; export it again")
    polygons = [rows for rows in faces if _is_polygon(rows, len(vertices.table), path)]
    if not polygons:
        raise BrokenMesh(f"{path}: an empty mesh: no faces")
    look = Look()
    look.vertex_colours = _colours(by_name["vertex"], [vertices], "vertices", look.faults)
    look.face_colours = _colours(by_name["face"], faces, "faces", look.faults)
    if pictures:
        _name_pictures(look, pictures, path.name, by_name["face"], faces)
        _place_pictures(look, vertices, polygons)
    corners = [(rows.places, np.asarray(rows.corners, np.int64)) for rows in polygons]
    return Polygons(np.stack([vertices[axis] for axis in "xyz"], axis=1), corners, look)


def _header(content: bytes, path: Path) -> tuple[list[_Element], list[str], str, bytes]:
    """The elements, the names of pictures, the order of bytes, and what follows the header."""
    start = _START.match(content)
    found = _END.search(content, 0, 1 << 20)
    if start is None or found is None:
        raise BrokenMesh(f"{path}: does not begin with the header of a PLY file")
    end = found.start() + 1
    body_at = content.find(start[1], end)
    elements: list[_Element] = []
    pictures: list[str] = []
    order = ""
    for line in content[start.end() : end].decode("utf-8", "replace").splitlines():
        words = line.split()
        try:
            match words[:1]:
                case ["format"]:
                    order = _ORDERS[words[1]]
                case ["comment"] if words[1:2] and words[1].lower() == "texturefile":
                    pictures.append(line.split(None, 2)[2].strip())
                case ["element"]:
                    elements.append(_Element(words[1], int(words[2]), []))
                case ["property"] if words[1] == "list":
                    elements[-1].properties.append(_Property(words[4], _TYPES[words[3]], _TYPES[words[2]]))
                case ["property"]:
                    elements[-1].properties.append(_Property(words[2], _TYPES[words[1]]))
        except (KeyError, IndexError, ValueError):
            raise BrokenMesh(f"{path}: its header has a line that is not PLY's: {line.strip()[:80]!r}") from None
    doubled = len({element.name for element in elements}) < len(elements) or any(
        len({one.name for one in element.properties}) < len(element.properties) for element in elements
    )
    if not order or doubled or any(element.rows < 0 for element in elements):
        raise BrokenMesh(f"{path}: its header names no format, or something twice; export it again")
    return elements, pictures, order, content[body_at + len(start[1]) :] if body_at >= 0 else b""


def _read(elements: list[_Element], order: str, body: bytes, path: Path) -> dict[str, list[_Rows]]:
    """The rows of every element."""
    if order == "=":
        words = body.split()
        try:
            body = np.fromiter(map(float, words), np.float64, len(words)).tobytes()
        except ValueError:
            raise BrokenMesh(f"{path}: words where numbers belong; export it again") from None
        del words
        elements = [
            _Element(one.name, one.rows, [_Property(p.name, "f8", p.counted_by and "f8") for p in one.properties])
            for one in elements
        ]
    found, at = {}, 0
    for element in elements:
        found[element.name], at = _rows(element, order, body, at, path)
    if body[at:].strip(b"\0\r\n\t "):
        raise BrokenMesh(f"{path}: more follows than its header says; export it again")
    return found


def _rows(element: _Element, order: str, body: bytes, at: int, path: Path) -> tuple[list[_Rows], int]:
    """The rows of one element from a place on, by the lengths of their lists, and the place behind them."""
    lists = [one.name for one in element.properties if one.counted_by]
    runs: dict[np.dtype[np.void], list[_Rows]] = {}
    row, tried = 0, 1 if lists else element.rows
    while element.properties and row < element.rows:
        lengths = _lengths(element, order, body, at, path) if lists else ()
        kind = _row_type(tuple(element.properties), order, lengths)
        count = min(tried, element.rows - row, (len(body) - at) // kind.itemsize)
        if not count or (not lists and count < element.rows):
            raise BrokenMesh(f"{path}: cut off in the elements called {element.name}; get it again")
        table = np.frombuffer(body, kind, count, at)
        alike = np.ones(count, bool)
        for name, length in zip(lists, lengths, strict=True):
            alike &= table[_counter(name)] == length
        good = count if alike.all() else int(np.argmin(alike))
        runs.setdefault(kind, []).append(_Rows(row + np.arange(good), table[:good]))
        row, at = row + good, at + good * kind.itemsize
        tried = 2 * tried if good == count else 1  # rows that differ from now on are not looked at again and again
    joined = [
        _Rows(np.concatenate([run.places for run in part]), np.concatenate([run.table for run in part]))
        for part in runs.values()
    ]
    return joined, at


def _counter(name: str) -> str:
    return f"{name} counted"  # no property has a space in its name


def _lengths(element: _Element, order: str, body: bytes, at: int, path: Path) -> tuple[int, ...]:
    """The lengths of the lists of the row that begins at a place."""
    lengths: list[int] = []
    for one in element.properties:
        if not one.counted_by:
            at += np.dtype(one.kind).itemsize
            continue
        counter = np.dtype(order + one.counted_by)
        if at + counter.itemsize > len(body):
            raise BrokenMesh(f"{path}: cut off in the elements called {element.name}; get it again")
        number = float(np.frombuffer(body, counter, 1, at)[0])
        if not 0 <= number <= _MOST_IN_LIST or number != int(number):
            raise BrokenMesh(f"{path}: a list of {number:.6g} entries in an element called {element.name}")
        lengths.append(int(number))
        at += counter.itemsize + int(number) * np.dtype(one.kind).itemsize
    return tuple(lengths)


@functools.lru_cache(maxsize=256)
def _row_type(properties: tuple[_Property, ...], order: str, lengths: tuple[int, ...]) -> np.dtype[np.void]:
    left = list(lengths)
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for one in properties:
        if one.counted_by:
            fields += [(_counter(one.name), order + one.counted_by), (one.name, order + one.kind, (left.pop(0),))]
        else:
            fields.append((one.name, order + one.kind))
    return np.dtype(fields)


def _is_polygon(rows: _Rows, vertices: int, path: Path) -> bool:
    """Whether faces have three corners or more; fewer have no area."""
    corners = rows.corners
    if corners is None:
        raise BrokenMesh(f"{path}: faces without a list called vertex_indices; export it again")
    if corners.size and (not 0 <= corners.min() <= corners.max() < vertices or (corners % 1).any()):
        raise BrokenMesh(f"{path}: faces of vertices that are not there")
    return corners.shape[1] >= 3


def _column(name: str, faces: list[_Rows]) -> NDArray[np.float64]:
    """A number of every row, in the file's order."""
    found = np.zeros(sum(len(rows.places) for rows in faces))
    for rows in faces:
        found[rows.places] = rows[name]
    return found


def _colours(element: _Element, data: list[_Rows], what: str, faults: list[str]) -> NDArray[np.float64] | None:
    """(n, 3) sRGB in [0, 1] of an element's rows, if it has colours."""
    kinds = {one.name: one.kind for one in element.properties if not one.counted_by}
    names = next((names for names in _COLOURS if set(names) <= set(kinds)), None)
    if names is None:
        return None
    opacity = [name for name in kinds if name in ("alpha", "a")][:1]
    table = np.stack([_column(name, data) for name in [*names, *opacity]], axis=1)
    kind = kinds[names[0]]
    # Of whole numbers the type tells the scale: (1, 1, 1) of bytes is nearly black, of doubles white.
    return read_colours(table if kind[0] == "f" else table / _LARGEST.get(kind, 255), what, faults)


def _name_pictures(look: Look, pictures: list[str], mesh: str, element: _Element, faces: list[_Rows]) -> None:
    """The picture of each face: the one that its `texnumber` tells, else the last."""
    look.materials = list(dict.fromkeys(pictures))
    look.described = {name: (mesh, Described(picture=Map(name))) for name in look.materials}
    numbers = np.full(element.rows, len(pictures) - 1)
    if any(one.name == "texnumber" and not one.counted_by for one in element.properties):
        numbers = _column("texnumber", faces).astype(np.int64)
        numbers[(numbers < 0) | (numbers >= len(pictures))] = -1  # MeshLab's sign for none
    elif len(pictures) > 1:
        look.faults.append(f"{len(pictures)} pictures; {pictures[-1][:80]} is shown everywhere")
    look.of_face = np.array([*map(look.materials.index, pictures), -1])[numbers]


def _place_pictures(look: Look, vertices: _Rows, polygons: list[_Rows]) -> None:
    """Places in pictures: of each face's corners (`texcoord`), else of vertices."""
    names = next((names for names in _PLACES if all(name in vertices for name in names)), None)
    places = [] if names is None else [np.stack([vertices[name] for name in names], axis=1)]
    for rows in polygons:
        corners = np.asarray(rows.corners, np.int64)
        own = rows["texcoord"] if "texcoord" in rows else np.zeros((len(corners), 0))
        if own.shape == (len(corners), 2 * corners.shape[1]):
            first = sum(map(len, places))
            look.uv_corners.append(first + np.arange(corners.size).reshape(corners.shape))
            places.append(own.reshape(-1, 2))
        else:
            look.uv_corners.append(corners if names is not None else np.full(corners.shape, -1))
    look.uv = np.concatenate(places) if places else look.uv
