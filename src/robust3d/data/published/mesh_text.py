"""Parses OFF and OBJ text into vertices and polygons; what does not add up is refused with the file's name.

What a file says of its look is never a reason to refuse it: what cannot be read of it is among the look's faults.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robust3d.data.published.materials import Described
from robust3d.errors import UserError

_KEYWORD = re.compile(r"((?:STC|CST|ST|C|)N?4?n?|NC(?:ST)?)OFF(?=[\s\d]|$)\s*", re.ASCII)
_NOT_FINITE = re.compile(r"(?<!\S)[-+]?1\.#(?:INF|IND|QNAN|SNAN)\w*", re.ASCII)  # as Microsoft's library writes it
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
_COLOURS = (0, 1, 3, 4)  # numbers of a colour: none, a row of a colour map, RGB, RGBA
_BLANK = r"[^\S\n]"  # any white space, such as a no-break space
# A vertex, a place in a picture or a face (fo once) with the lines that it goes on in; a comment ends it, whatever the
# comment ends in. Names go to the end of their line: they may hold spaces and #.
_STATEMENT = re.compile(
    rf"^{_BLANK}*((?:vt?|fo?){_BLANK}[^\n#\\]*(?:\\\n?[^\n#\\]*)*|(?i:usemtl|mtllib)(?:{_BLANK}[^\n]*|$))", re.MULTILINE
)
_CORNER = re.compile(r"[^\s/]+(?:/(-?\d+)?\S*)?")
_VERTEX, _PLACE, _FACE, _MATERIAL, _LIBRARY = range(5)
_KINDS = {"v": _VERTEX, "vt": _PLACE, "f": _FACE, "fo": _FACE, "us": _MATERIAL, "mt": _LIBRARY}
_FREE_FORM = re.compile(rf"^{_BLANK}*(?:surf|curv2?){_BLANK}", re.MULTILINE)


class BrokenMesh(UserError):
    """A mesh that cannot be rendered; the message names its file and says why."""


@dataclass
class Look:
    """What a mesh's file says of colours and materials.

    Attributes:
        vertex_colours: (V, 3) sRGB in [0, 1], or None.
        face_colours: (F, 3) the same, NaN for a face without; or None.
        uv: (T, 2) places in pictures, (0, 0) the lower left corner; NaN where one cannot be read.
        uv_corners: beside each entry of `Polygons.faces`: (k, n) rows of `uv`, -1 where there is none.
        libraries: what follows each `mtllib`.
        materials: what follows each `usemtl`, each once.
        of_face: (F,) the place of each face's in `materials`; -1: none.
        described: materials that no library describes, by name: the file that names their pictures, and what they are.
        faults: what cannot be read, in words.
    """

    vertex_colours: NDArray[np.float64] | None = None
    face_colours: NDArray[np.float64] | None = None
    uv: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    uv_corners: list[NDArray[np.int64]] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    of_face: NDArray[np.int64] | None = None
    described: dict[str, tuple[str, Described]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Polygons:
    """A mesh as its file gives it.

    Attributes:
        vertices: (V, 3) float64.
        faces: for each number of corners n: (the faces' places in the file (k,), their vertices (k, n) from 0).
        look: colours and materials.
    """

    vertices: NDArray[np.float64]
    faces: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    look: Look = field(default_factory=Look)

    @property
    def triangles(self) -> int:
        """How many it takes to cover all faces."""
        return sum(len(corners) * (corners.shape[1] - 2) for _, corners in self.faces)


def parse_off(text: str, path: Path, max_faces: int) -> Polygons:
    """OFF, also with colours (of vertices: COFF), normals (NOFF) and texture coordinates (STOFF, MeshLab's CSTOFF).

    Normals and texture coordinates are passed over.

    Args:
        text: with LF line ends.
        path: for messages.
        max_faces: judged by the header, before anything is parsed.

    Raises:
        BrokenMesh: not OFF, binary, in four or n dimensions, empty, too large, or other numbers than the header says.
    """
    text = _with_nan(text)
    rows = [row for line in text.split("\n") if (row := line.partition("#")[0].strip())]
    keyword = _KEYWORD.match(rows[0]) if rows else None
    if keyword is None:
        raise BrokenMesh(f"{path}: does not begin with OFF and the numbers of vertices and faces")
    rest = rows[0][keyword.end() :]
    if set(keyword[1]) & {"4", "n"} or "NC" in keyword[1] or rest.upper().startswith("BINARY"):
        raise BrokenMesh(f"{path}: {rows[0][:20]} is not read; save it as plain OFF")
    (total, faces), data = _counts([rest, *rows[1:]] if rest else rows[1:], path)
    if faces == 0 or total == 0:
        raise BrokenMesh(f"{path}: an empty mesh: {total} vertices, {faces} faces")
    if faces > max_faces or total > 3 * max_faces:
        raise BrokenMesh(f"{path}: claims {total:,} vertices and {faces:,} faces; at most {max_faces:,} are read")
    if len(data) != total + faces:
        return _off_without_lines(" ".join(data).split(), total, faces, path)
    vertices = _table(data[:total], path, "vertices")
    more = 3 * ("N" in keyword[1]) + 2 * ("ST" in keyword[1])
    channels = vertices.shape[1] - 3 - more
    if channels not in _COLOURS:
        raise BrokenMesh(f"{path}: vertices of {vertices.shape[1]} numbers in a file that says {keyword[0].strip()}")
    look, colours = Look(), np.full((faces, 3), np.nan)
    first = 3 + 3 * ("N" in keyword[1])
    if channels and "C" in keyword[1]:
        look.vertex_colours = read_colours(vertices[:, first : first + channels], "vertices", look.faults)
    elif channels:
        look.faults.append(f"{channels} more numbers a vertex, not taken for colours: the file does not say COFF")
    polygons = list(_off_faces(data[total:], total, path, colours, look.faults))
    look.face_colours = None if np.isnan(colours).all() else colours
    return Polygons(vertices[:, :3].copy(), polygons, look)


def _with_nan(text: str) -> str:
    """The same with numbers that are none as `nan`: what follows # would be taken for a comment."""
    return _NOT_FINITE.sub("nan", text) if ".#" in text else text


def read_colours(table: NDArray[np.float64], what: str, faults: list[str]) -> NDArray[np.float64] | None:
    """Colours (n, 3) in [0, 1] from 3 or 4 numbers each: up to 1, or, where one is more than 1, up to 255.

    Args:
        table: (n, 1), (n, 3) or (n, 4); a fourth number is opacity.
        what: has these colours.
        faults: gets what cannot be read.
    """
    if table.shape[1] == 1:
        faults.append(f"colours of {what} that are places in a colour map")
        return None
    if not np.isfinite(table).all() or table.min(initial=0) < 0 or table.max(initial=0) > 255:
        faults.append(f"colours of {what} that are not between 0 and 255")
        return None
    is_share = table.max(initial=0) <= 1.001  # some programs write a little more than 1
    if not is_share and (table != np.round(table)).any():
        faults.append(f"colours of {what} that are neither shares up to 1 nor whole numbers up to 255")
        return None
    table = np.minimum(table, 1) if is_share else table / 255
    if table.shape[1] == 4 and table[:, 3].min(initial=1) < 1:
        faults.append(f"opacity of {what}; they are shown opaque")
    colours: NDArray[np.float64] = table[:, :3]
    return colours


def _counts(rows: Sequence[str], path: Path) -> tuple[tuple[int, int], list[str]]:
    """The numbers of vertices and faces, and the rows after them and the number of edges."""
    words: list[str] = []
    used = 0
    while len(words) < 2 and used < len(rows):
        words += rows[used].split()
        used += 1
    if len(words) < 2 or not all(_COUNT.fullmatch(word) for word in words[:2]):
        raise BrokenMesh(f"{path}: does not begin with OFF and the numbers of vertices and faces")
    left = list(rows[used:])
    if len(words) > 3:  # all in one line
        left.insert(0, " ".join(words[3:]))
    elif len(words) == 2 and left and len(left[0].split()) == 1:
        del left[0]  # the number of edges, in a line of its own
    return (int(words[0]), int(words[1])), left


def _off_faces(
    rows: Sequence[str], total: int, path: Path, colours: NDArray[np.float64], faults: list[str]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Faces by their number of corners; fills in the `colours` (F, 3) of those that have one."""
    found: dict[int, NDArray[np.float64]] = {}
    for places, table in _tables(rows, path):
        sizes = _whole(table[:, 0], rows, places, path)
        for n in np.unique(sizes):
            chosen = np.flatnonzero(sizes == n)
            if n < 0 or table.shape[1] - 1 - n not in _COLOURS:
                raise BrokenMesh(f"{path}: a face {_shown(rows[places[chosen[0]]])} that says it has {n} corners")
            corners = _whole(table[chosen, 1 : 1 + n], rows, places[chosen], path)
            _check_there(corners, total, rows, places[chosen], path)
            if n >= 3:  # fewer have no area
                yield places[chosen], corners
            if table.shape[1] > 1 + n:
                found |= zip(places[chosen].tolist(), table[chosen, 1 + n :], strict=True)
    widest = max((len(numbers) for numbers in found.values()), default=0)
    chosen = np.array([place for place, numbers in found.items() if len(numbers) == widest], np.int64)
    if len(chosen) < len(found):
        faults.append("colours of some faces that have fewer numbers than others'")
    if len(chosen):
        read = read_colours(np.stack([found[place] for place in chosen.tolist()]), "faces", faults)
        if read is not None:
            colours[chosen] = read


def _off_without_lines(words: Sequence[str], total: int, faces: int, path: Path) -> Polygons:
    """The rare legal file in which an element is not a line: numbers alone, without colours."""
    header = f"{path}: its header says {total:,} vertices and {faces:,} faces"
    broken = BrokenMesh(f"{header}, which is not what follows; it is damaged or cut off")
    if len(words) < 3 * total + 4 * faces:
        raise BrokenMesh(f"{header}, but only {len(words):,} numbers follow; it is cut off")
    numbers = _table(words, path, "numbers")[:, 0]
    vertices, at = numbers[: 3 * total].reshape(-1, 3), 3 * total
    found: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
    for place in range(faces):
        n = int(numbers[at]) if at < len(numbers) and 3 <= numbers[at] < len(numbers) else 0
        corners = numbers[at + 1 : at + 1 + n]
        if n == 0 or n != numbers[at] or len(corners) < n:
            raise broken
        found.setdefault(n, []).append((place, corners))
        at += 1 + n
    if at != len(numbers):
        raise broken
    grouped = []
    for group in found.values():
        rows = [" ".join(f"{corner:g}" for corner in corners) for _, corners in group]
        whole = _whole(np.array([corners for _, corners in group]), rows, np.arange(len(group)), path)
        _check_there(whole, total, rows, np.arange(len(group)), path)
        grouped.append((np.array([place for place, _ in group]), whole))
    return Polygons(vertices.copy(), grouped)


def parse_obj(text: str, path: Path, max_faces: int) -> Polygons:
    """The vertices and polygons of an OBJ, with its colours and the names of its materials; normals are passed over.

    Args:
        text: with LF line ends.
        path: for messages.
        max_faces: a file of more than four times as many vertices and faces is not parsed.

    Raises:
        BrokenMesh: no faces, too large, free-form surfaces, or indices of vertices that are not there.
    """
    text = _with_nan(text)
    if _FREE_FORM.search(text):
        raise BrokenMesh(f"{path}: free-form surfaces are not read; export it as polygons")
    every = [found.replace("\\\n", " ") for found in _STATEMENT.findall(text)]
    kinds = np.array([_KINDS[line[:2].rstrip().lower()] for line in every], np.int8)
    statements = [line for line, kind in zip(every, kinds, strict=True) if kind in (_VERTEX, _FACE)]
    if len(statements) > 4 * max_faces:
        raise BrokenMesh(
            f"{path}: {len(statements):,} vertices and faces; at most {max_faces:,} faces are read, simplify it"
        )
    total = int((kinds == _VERTEX).sum())
    if total in (0, len(statements)):
        raise BrokenMesh(f"{path}: an empty mesh: {total} vertices, {len(statements) - total} faces")
    lines = [line for line in statements if line[0] == "v"]
    vertices = _table(lines, path, "vertices", columns=(1, 2, 3))
    is_face = kinds == _FACE
    seen = np.cumsum(kinds == _VERTEX)[is_face]  # vertices before each face: what a negative index counts back from
    given = [line for line in statements if line[0] == "f"]
    rows = [re.sub(r"(?<=\d)/\S*", "", line) for line in given]
    faces = []
    for places, table in _tables([row[1:].removeprefix("o") for row in rows], path):
        whole = _whole(table, rows, places, path)
        corners = np.where(whole > 0, whole - 1, np.where(whole < 0, seen[places][:, None] + whole, -1))
        _check_there(corners, total, rows, places, path)
        if corners.shape[1] >= 3:  # fewer have no area
            faces.append((places, corners))
    look = Look()
    look.vertex_colours = _obj_colours(lines, look.faults)
    _name_materials(look, every, kinds)
    _place_pictures(look, every, kinds, given, [places for places, _ in faces])
    return Polygons(vertices, faces, look)


def _obj_colours(lines: Sequence[str], faults: list[str]) -> NDArray[np.float64] | None:
    """Colours that stand behind the coordinates of vertices: v x y z r g b."""
    counts = np.fromiter((len(line.split()) - 1 for line in lines), np.int64, len(lines))
    if counts.max() < 6:  # a fourth number is a weight
        return None
    if (counts == 7).any():
        faults.append("colours of vertices: 7 numbers, which may be a weight and a colour or a colour and its opacity")
        return None
    if counts.min() < 6:
        faults.append("colours of some vertices, while others have none")
        return None
    try:
        table = np.loadtxt(lines, np.float64, comments=None, usecols=(4, 5, 6), ndmin=2)  # type: ignore[call-overload]
    except ValueError:
        faults.append("colours of vertices that are no numbers")
        return None
    return read_colours(table, "vertices", faults)


def _name_materials(look: Look, every: Sequence[str], kinds: NDArray[np.int8]) -> None:
    """The names that an OBJ gives to its libraries and to the material of each face."""
    look.libraries = [every[i][len("mtllib") :].strip() for i in np.flatnonzero(kinds == _LIBRARY)]
    changes = np.flatnonzero(kinds == _MATERIAL)
    names = [every[i][len("usemtl") :].strip() for i in changes]
    look.materials = list(dict.fromkeys(names))
    places = {name: place for place, name in enumerate(look.materials)}
    in_force = np.array([-1, *(places[name] for name in names)], np.int64)
    look.of_face = in_force[np.cumsum(kinds == _MATERIAL)[kinds == _FACE]]


def _place_pictures(
    look: Look, every: Sequence[str], kinds: NDArray[np.int8], given: Sequence[str], groups: Sequence[NDArray[np.int64]]
) -> None:
    """Where the corners of an OBJ's faces lie in pictures."""
    rows = [every[i].split()[1:3] for i in np.flatnonzero(kinds == _PLACE)]
    if not rows or not look.materials:
        return
    try:
        look.uv = np.array([[*row, "0"][:2] for row in rows], np.float64)
    except ValueError:  # an empty row, or words
        look.uv = np.array([[_number(text) for text in [*row, "nan", "0"][:2]] for row in rows])
    seen = np.cumsum(kinds == _PLACE)[kinds == _FACE]
    for places in groups:
        table = [
            [int(found[1] or 0) for found in _CORNER.finditer(given[place][1:].removeprefix("o"))]
            for place in places.tolist()
        ]
        corners = np.clip(np.array(table, object), -(2**40), 2**40).astype(np.int64)
        corners = np.where(corners > 0, corners - 1, np.where(corners < 0, seen[places][:, None] + corners, -1))
        look.uv_corners.append(np.where((corners >= 0) & (corners < len(rows)), corners, -1))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _tables(rows: Sequence[str], path: Path) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Faces grouped by how many numbers they have: (their places, the numbers)."""
    lengths = np.fromiter((len(row.split()) for row in rows), np.int64, len(rows))
    if not lengths.all():
        raise BrokenMesh(f"{path}: a face without vertices")
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        yield places, _table([rows[place] for place in places], path, "faces")


def _table(rows: Sequence[str], path: Path, what: str, columns: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """The numbers of rows of equal length (of some of their columns)."""
    try:
        table: NDArray[np.float64] = np.loadtxt(rows, np.float64, comments=None, usecols=columns, ndmin=2)  # type: ignore[call-overload]
        return table
    except ValueError as error:
        reason = str(error).partition(";")[0].partition(", column")[0][:160]
        raise BrokenMesh(f"{path}: {what} that cannot be read ({reason}); copy or export it again") from None


def _whole(
    numbers: NDArray[np.float64], rows: Sequence[str], places: NDArray[np.int64], path: Path
) -> NDArray[np.int64]:
    """The same as integers."""
    wrong = ~(np.isfinite(numbers) & (np.abs(numbers) < 2**53) & (numbers == np.round(numbers)))
    if wrong.any():
        place = places[np.flatnonzero(wrong.reshape(len(numbers), -1).any(axis=1))[0]]
        raise BrokenMesh(f"{path}: a face {_shown(rows[place])} whose indices are no whole numbers")
    return numbers.astype(np.int64)


def _check_there(
    corners: NDArray[np.int64], total: int, rows: Sequence[str], places: NDArray[np.int64], path: Path
) -> None:
    absent = ((corners < 0) | (corners >= total)).any(axis=1)
    if absent.any():
        row = rows[places[np.flatnonzero(absent)[0]]]
        raise BrokenMesh(f"{path}: a face {_shown(row)} of vertices that are not there ({total} are)")


def _shown(row: str) -> str:
    return repr(row if len(row) <= 60 else row[:59] + "…")
