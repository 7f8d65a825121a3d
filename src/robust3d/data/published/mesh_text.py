"""Parses OFF and OBJ text into vertices and polygons; what does not add up is refused with the file's name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robust3d.errors import UserError

_KEYWORD = re.compile(r"((?:ST)?C?N?4?n?)OFF(?=[\s\d]|$)\s*", re.ASCII)
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
_COLOURS = (0, 1, 3, 4)  # numbers of a colour: none, a row of a colour map, RGB, RGBA
_BLANK = r"[^\S\n]"  # any white space, such as a no-break space
# A vertex or a face (fo once) with the lines that it goes on in; a comment ends it, whatever the comment ends in.
_STATEMENT = re.compile(rf"^{_BLANK}*((?:v|fo?){_BLANK}[^\n#\\]*(?:\\\n?[^\n#\\]*)*)", re.MULTILINE)
_FREE_FORM = re.compile(rf"^{_BLANK}*(?:surf|curv2?){_BLANK}", re.MULTILINE)


class BrokenMesh(UserError):
    """A mesh that cannot be rendered; the message names its file and says why."""


@dataclass(frozen=True)
class Polygons:
    """A mesh as its file gives it.

    Attributes:
        vertices: (V, 3) float64.
        faces: for each number of corners n: (the faces' places in the file (k,), their vertices (k, n) from 0).
    """

    vertices: NDArray[np.float64]
    faces: list[tuple[NDArray[np.int64], NDArray[np.int64]]]

    @property
    def triangles(self) -> int:
        """How many it takes to cover all faces."""
        return sum(len(corners) * (corners.shape[1] - 2) for _, corners in self.faces)


def parse_off(text: str, path: Path, max_faces: int) -> Polygons:
    """OFF, also with colours (COFF), normals (NOFF) and texture coordinates (STOFF), which are passed over.

    Args:
        text: with LF line ends.
        path: for messages.
        max_faces: judged by the header, before anything is parsed.

    Raises:
        BrokenMesh: not OFF, binary, in four or n dimensions, empty, too large, or other numbers than the header says.
    """
    rows = [row for line in text.split("\n") if (row := line.partition("#")[0].strip())]
    keyword = _KEYWORD.match(rows[0]) if rows else None
    if keyword is None:
        raise BrokenMesh(f"{path}: does not begin with OFF and the numbers of vertices and faces")
    rest = rows[0][keyword.end() :]
    if set(keyword[1]) & {"4", "n"} or rest.upper().startswith("BINARY"):
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
    if vertices.shape[1] - 3 - more not in _COLOURS:
        raise BrokenMesh(f"{path}: vertices of {vertices.shape[1]} numbers in a file that says {keyword[0].strip()}")
    return Polygons(vertices[:, :3].copy(), list(_off_faces(data[total:], total, path)))


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


def _off_faces(rows: Sequence[str], total: int, path: Path) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
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
    """The vertices and polygons of an OBJ; materials, normals, lines and groups are passed over.

    Args:
        text: with LF line ends.
        path: for messages.
        max_faces: a file of more than four times as many vertices and faces is not parsed.

    Raises:
        BrokenMesh: no faces, too large, free-form surfaces, or indices of vertices that are not there.
    """
    if _FREE_FORM.search(text):
        raise BrokenMesh(f"{path}: free-form surfaces are not read; export it as polygons")
    statements = [found.replace("\\\n", " ") for found in _STATEMENT.findall(text)]
    if len(statements) > 4 * max_faces:
        raise BrokenMesh(
            f"{path}: {len(statements):,} vertices and faces; at most {max_faces:,} faces are read, simplify it"
        )
    is_vertex = np.array([statement[0] == "v" for statement in statements], bool)
    total = int(is_vertex.sum())
    if total in (0, len(statements)):
        raise BrokenMesh(f"{path}: an empty mesh: {total} vertices, {len(statements) - total} faces")
    vertices = _table([line for line in statements if line[0] == "v"], path, "vertices", columns=(1, 2, 3))
    seen = np.cumsum(is_vertex)[~is_vertex]  # vertices before each face: what a negative index counts back from
    rows = [re.sub(r"(?<=\d)/\S*", "", line) for line in statements if line[0] == "f"]
    faces = []
    for places, table in _tables([row[1:].removeprefix("o") for row in rows], path):
        given = _whole(table, rows, places, path)
        corners = np.where(given > 0, given - 1, np.where(given < 0, seen[places][:, None] + given, -1))
        _check_there(corners, total, rows, places, path)
        if corners.shape[1] >= 3:  # fewer have no area
            faces.append((places, corners))
    return Polygons(vertices, faces)


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
