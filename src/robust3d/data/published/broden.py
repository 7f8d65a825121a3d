"""Reads Broden, the densely labelled images of network dissection (Bau et al. 2017), in its published layout.

`index.csv` has a line for each picture: its file below `images/`, the sizes of the picture and of its masks, and for
each category the masks (PNG files below `images/`, a pixel's label being red + 256 green) or labels of the whole
picture, with semicolons between them. `label.csv` names the labels.
"""

import csv
import io
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robust3d.data.concepts import Concepts, Labelled, Mask
from robust3d.data.published.files import read_png
from robust3d.data.published.text import read_text
from robust3d.errors import UserError

_LARGEST = 1 << 30
_PLAIN = ("image", "split", "ih", "iw", "sh", "sw")


class Entry(NamedTuple):
    """A line of the index.

    Attributes:
        image: file below `images/`.
        height: of its masks.
        width: of its masks.
        labels: for each category with labels, numbers that hold everywhere and files of masks below `images/`.
    """

    image: str
    height: int
    width: int
    labels: dict[str, list[int | str]]

    @property
    def masks(self) -> list[str]:
        """The files of its masks."""
        return [item for given in self.labels.values() for item in given if isinstance(item, str)]


class Broden:
    """The folder, with its index read and every file that it names looked for.

    Attributes:
        entries: the lines of the index.
        names: of labels, by category and number.
        files: that the index names, below `images/`, and the first line that does.

    Args:
        root: of the folder; it holds index.csv, label.csv and images/.

    Raises:
        UserError: a file is missing, or a line is not what it should be.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.names = self._read_names()
        self.entries, self.files = self._read_index()
        self._check_files()

    @cached_property
    def keys(self) -> tuple[tuple[str, int], ...]:
        """Category and label number of each concept: those categories that the index has, with all of their labels."""
        order = list(dict.fromkeys(kind for entry in self.entries for kind in entry.labels))
        return tuple((kind, number) for kind in sorted(order) for number in sorted(self.names.get(kind, ())))

    def concepts(self, entries: Sequence[int] | None = None) -> Concepts:
        """What is where in the pictures.

        Args:
            entries: numbers of the index's lines that the pictures of a set are, in their order; None: all.
        """
        number = {key: place for place, key in enumerate(self.keys)}
        chosen = range(len(self.entries)) if entries is None else entries

        def read(places: Sequence[int]) -> list[Labelled]:
            return [self._labelled(self.entries[chosen[place]], number) for place in places]

        names = tuple(self.names[kind][label] for kind, label in self.keys)
        return Concepts(names, tuple(kind for kind, _ in self.keys), read)

    def _labelled(self, entry: Entry, number: dict[tuple[str, int], int]) -> Labelled:
        labels: dict[str, list[tuple[int, Mask | None]]] = {}
        for kind, given in entry.labels.items():
            found: dict[int, Mask | None] = {}
            for item in given:
                for label, mask in self._parts(item, entry).items():
                    if (kind, label) not in number:
                        where = "index.csv" if mask is None else f"images/{item}"
                        raise UserError(
                            f"{self.root / where}: label {label} of {entry.image} is no {kind} of label.csv"
                        )
                    before = found.get(label, mask)
                    found[label] = None if mask is None or before is None else mask | before
            labels[kind] = [(number[kind, label], mask) for label, mask in found.items()]
        return Labelled(entry.height, entry.width, labels)

    def _parts(self, item: int | str, entry: Entry) -> dict[int, Mask | None]:
        """The labels of one item of the index, and where they are."""
        if isinstance(item, int):
            return {item: None}
        pixels = self._mask(item, entry)
        return {label: np.asarray(pixels == label) for label in np.unique(pixels[pixels > 0]).tolist()}

    def _mask(self, file: str, entry: Entry) -> np.ndarray:
        """Label numbers (height, width) of a mask; 0 where it has none."""
        path = self.root / "images" / file
        pixels = read_png(path)
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise UserError(f"{path}: a grey or transparent picture; a mask holds labels in red and green")
        if pixels.shape[:2] != (entry.height, entry.width):
            size, wanted = (f"{w}x{h} px" for h, w in (pixels.shape[:2], (entry.height, entry.width)))
            raise UserError(f"{path}: a mask of {size}, but index.csv says {wanted}; unpack Broden again")
        return pixels[..., 0].astype(np.int64) + 256 * pixels[..., 1].astype(np.int64)

    def _rows(self, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
        path = self.root / name
        rows = list(csv.DictReader(io.StringIO(read_text(path, _LARGEST)), restval=""))
        if absent := [column for column in columns if not rows or column not in rows[0]]:
            raise UserError(f"{path}: no column {absent[0]!r}, or no line; is it the {name} of Broden?")
        return rows

    def _read_names(self) -> dict[str, dict[int, str]]:
        """Names of labels by category and number; a category is written like `object(3412)`."""
        found: dict[str, dict[int, str]] = {}
        for line, row in enumerate(self._rows("label.csv", ("number", "name", "category")), 2):
            number = self._whole(row["number"], "label.csv", line, "number")
            for kind in row["category"].split(";"):
                name = kind.partition("(")[0].strip()
                if name:
                    found.setdefault(name, {})[number] = row["name"]
        return found

    def _read_index(self) -> tuple[list[Entry], dict[str, int]]:
        """The entries, and in which line a file is named first."""
        rows = self._rows("index.csv", _PLAIN)
        kinds = [kind for kind in rows[0] if kind and kind not in _PLAIN]
        if not kinds:
            raise UserError(f"{self.root / 'index.csv'}: no column of a category beside {', '.join(_PLAIN)}")
        entries: list[Entry] = []
        lines: dict[str, int] = {}
        for line, row in enumerate(rows, 2):
            height, width = (self._whole(row[side], "index.csv", line, side) for side in ("sh", "sw"))
            labels: dict[str, list[int | str]] = {}
            for kind in kinds:
                items = [item.strip() for item in (row[kind] or "").split(";") if item.strip()]
                if items:
                    labels[kind] = [int(item) if item.isdecimal() else item for item in items]
            entry = Entry(row["image"], height, width, labels)
            if entry.image in lines:
                raise UserError(f"{self.root / 'index.csv'}, line {line}: {entry.image} has a line already")
            for file in (entry.image, *entry.masks):
                if not file or Path(file).is_absolute() or ".." in Path(file).parts:
                    raise UserError(f"{self.root / 'index.csv'}, line {line}: {file!r} names no file below images/")
                lines.setdefault(file, line)
            entries.append(entry)
        return entries, lines

    def _whole(self, text: str, file: str, line: int, column: str) -> int:
        if not (text.isdecimal() and 0 < int(text) <= 1 << 20):
            raise UserError(f"{self.root / file}, line {line}: {column} is {text!r}, not a whole number above 0")
        return int(text)

    def _check_files(self) -> None:
        """Whether all files that the index names are there."""
        folders: dict[str, set[str]] = {}
        missing = []
        for file in self.files:
            folder, _, name = file.rpartition("/")
            if folder not in folders:
                place = self.root / "images" / folder
                folders[folder] = set(os.listdir(place)) if place.is_dir() else set()
            if name not in folders[folder]:
                missing.append(file)
        if missing:
            others = f", and {len(missing) - 1:,} other files are missing" if len(missing) > 1 else ""
            path, line = self.root / "images" / missing[0], self.files[missing[0]]
            raise UserError(f"{path}: no such file, but line {line} of index.csv names it{others}; unpack Broden again")
