"""Sweet Home 3D's catalogues of furniture: an archive with a list of objects, their meshes, materials and pictures."""

import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from robust3d.data.published.files import MIB, regular_file
from robust3d.data.published.rooted import NotThere, find
from robust3d.data.published.sweethome3d.properties import parse_properties
from robust3d.data.published.zips import ZipArchive
from robust3d.errors import UserError

SUFFIX = ".sh3f"
_KIND = "a catalogue of Sweet Home 3D"
_LIST = re.compile(r"\w*FurnitureCatalog\.properties", re.ASCII)  # the one in English, without a language's code
_ENTRY = re.compile(r"(\w+)#(\d+)", re.ASCII)
_LARGEST_LIST = 16 * MIB
_LARGEST_CM = 1e5


@dataclass(frozen=True)
class Furniture:
    """One object of a catalogue.

    Attributes:
        name: in English.
        creator: who made it; empty if the catalogue does not say.
        licence: in the catalogue's words; empty if it does not say.
        model: name of its mesh in the archive.
        size_cm: along x (width), y (height) and z (depth), after `turn`.
        turn: (3, 3) that turns the mesh upright.
    """

    name: str
    creator: str
    licence: str
    model: str
    size_cm: tuple[float, float, float]
    turn: NDArray[np.float64]


class Catalogue:
    """A catalogue, open for reading.

    Args:
        path: of the .sh3f file.

    Raises:
        UserError: no sound archive, without one list of objects, or a list that is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = ZipArchive(path, _KIND)
        lists = [name for name in self.files.names() if _LIST.fullmatch(name)]
        if len(lists) != 1:
            raise UserError(
                f"{path}: {len(lists)} files in it are called …FurnitureCatalog.properties, and one must be; is it "
                f"{_KIND}?"
            )
        self._where = f"{path}/{lists[0]}"
        values = parse_properties(self.files.read(lists[0], _LARGEST_LIST), self._where)
        self.licence = values.get("license", "")
        self._objects: dict[str, dict[str, str]] = {}
        by_number: dict[str, dict[str, str]] = {}
        for key, value in values.items():
            if found := _ENTRY.fullmatch(key):
                by_number.setdefault(found[2], {})[found[1]] = value
        for number, entry in by_number.items():
            key = entry.get("id", f"{path.stem}#{number}")
            if key in self._objects:
                raise UserError(f"{self._where}: two objects have the id {key!r}; correct id#{number}")
            self._objects[key] = entry | {"number": number}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of its objects, in its order."""
        return tuple(self._objects)

    def furniture(self, key: str) -> Furniture:
        """One object.

        Raises:
            KeyError: none has this id.
            UserError: what the catalogue says of it cannot be; the message names the key.
        """
        entry = self._objects[key]
        number = entry["number"]
        model = entry.get("model", "").removeprefix("/")
        if not model.lower().endswith(".obj"):
            raise UserError(
                f"{self._where}: model#{number}={entry.get('model', '')!r:.200}: only .obj in the archive is read"
            )
        return Furniture(
            name=self._text("name", entry),
            creator=_in_one_line(entry.get("creator", "")),
            licence=_in_one_line(entry.get("license", self.licence)),
            model=_spelt(self.files, model),
            size_cm=tuple(self._length(name, entry) for name in ("width", "height", "depth")),  # type: ignore[arg-type]
            turn=self._turn(entry),
        )

    def _text(self, name: str, entry: dict[str, str]) -> str:
        value = entry.get(name, "").strip()
        if not value or not value.isprintable():
            raise UserError(f"{self._where}: {name}#{entry['number']}={value!r:.200}: a text is expected")
        return value

    def _length(self, name: str, entry: dict[str, str]) -> float:
        (value,) = self._numbers(name, entry, 1)
        if not 0 < value <= _LARGEST_CM:
            raise UserError(f"{self._where}: {name}#{entry['number']}={entry[name]}: a length in cm is expected")
        return value

    def _turn(self, entry: dict[str, str]) -> NDArray[np.float64]:
        if "modelRotation" not in entry:
            return np.eye(3)
        turn = np.array(self._numbers("modelRotation", entry, 9)).reshape(3, 3)
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-2) or np.linalg.det(turn) < 0:
            raise UserError(f"{self._where}: modelRotation#{entry['number']}: nine numbers that are no rotation")
        return turn

    def _numbers(self, name: str, entry: dict[str, str], count: int) -> list[float]:
        text = entry.get(name, "")
        try:
            numbers = [float(word) for word in text.split()]
        except ValueError:
            numbers = []
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            expected = "a number is" if count == 1 else f"{count} numbers are"
            raise UserError(f"{self._where}: {name}#{entry['number']}={text!r:.200}: {expected} expected")
        return numbers


def _spelt(files: ZipArchive, model: str) -> str:
    """How a mesh is called in the archive: as it stands, percent-encoded or in other capitals; else as it stands."""
    for name in (model, unquote(model)):
        try:
            return find(files, "", name)
        except NotThere:
            continue
    return model


def _in_one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def open_catalogue(path: Path) -> Catalogue:
    """A catalogue, opened once as long as its file stays the same.

    Raises:
        UserError: as `Catalogue`.
    """
    size = regular_file(path, 1 << 40, _KIND)  # noted as read, also where it is open already
    return _opened(path, size, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _opened(path: Path, size: int, time_ns: int) -> Catalogue:
    return Catalogue(path)
