"""Published benchmarks for tests only, in the folders that their authors give: no picture is for training.

    ImageNet-R, ImageNet-Sketch    <path>/<class>/<picture>
    ImageNet-3DCC                  <path>/<severity>/<class>/<picture>, a path for each corruption: layout: severities
    PUG: ImageNet                  <path>/<picture> with a `table` of a `label` each; `only`, `without` by factors

Classes have the names of folders, for ImageNet n01443537 and the like. Where they are called otherwise than the
classifier's, `class_list` says which they are.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from robust3d.data.packed import open_images
from robust3d.data.params import PictureSetParams, ordered_labels
from robust3d.data.published.files import read_photograph
from robust3d.data.published.inventory import sub_folders
from robust3d.errors import UserError
from robust3d.imagesets import folder
from robust3d.params import FilePath, PathText
from robust3d.parsing import parse
from robust3d.seeds import numpy_generator

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

__all__ = ["Params", "draw", "identity", "list_pictures", "open_images", "picture_reader"]


class Params(PictureSetParams):
    """Folder, layout and classes."""

    path: PathText  # the folder
    layout: Literal["classes", "severities", "table"] = "classes"
    table: FilePath | None = None  # CSV of the pictures, for layout: table
    file: str = "filename"  # its column of files, from `path`
    label: str = "character_label"  # its column of classes
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # column: values, as they are written there
    without: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # likewise; rows with these values are left out
    # Which of the classifier's classes are right for each of these: JSON {name: [class or number, …]}, or lines of a
    # name and a class, several for a name where several are right. Numbers count the classifier's classes from 0 (PUG's
    # class_to_imagenet_idx.json). None: alike.
    class_list: FilePath | None = None
    images_per_class: int | None = Field(None, ge=1)  # drawn at random; none: all

    @model_validator(mode="after")
    def _fits(self) -> "Params":
        if (self.layout == "table") != (self.table is not None):
            raise ValueError("table: goes with layout: table, and only with it")
        for name in ("only", "without"):
            if getattr(self, name) and self.table is None:
                raise ValueError(f"{name}: chooses rows of a table; give one")
        if self.images is not None:
            raise ValueError("images: all pictures are test images; choose fewer by images_per_class")
        return self


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of the pictures, the table and the list of classes."""
    import hashlib

    root, lines = Path(params.path), []
    found, notices = _listed(params)
    for file in sorted(file for _, file in found):
        try:
            status = (root / file).stat()
        except OSError as error:
            raise UserError(f"{root / file}: cannot be read: {error.strerror}") from None
        lines.append(f"{file}\t{status.st_size}\t{status.st_mtime_ns}")
    for path in (params.table, params.class_list):
        lines.append(_text(path) if path else "")
    lines += notices
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """Class names, sorted, and for each picture class and file.

    Raises:
        UserError: folder, table, or list of classes are missing or do not fit together.
    """
    return _table(_listed(params)[0])


def _table(found: Sequence[tuple[str, str]]) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """The same of what is there."""
    import pandas as pd

    classes = tuple(sorted({name for name, _ in found}))
    rows = {"split": "test", "class_name": [name for name, _ in found], "instance": [file for _, file in found]}
    return classes, pd.DataFrame(rows)


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set, all of it test images, classes alternating."""
    import pandas as pd

    settings = parse(Params, params)
    found, notices = _listed(settings)
    classes, rows = _table(found)
    labels = ordered_labels(settings.label_order, classes)
    accepted = _accepted(settings, labels)
    chosen = []
    for label, name in enumerate(labels):
        ids = sorted(rows.loc[rows["class_name"] == name, "instance"])
        order = numpy_generator(seed, "set", "test", name).permutation(len(ids))[: settings.images_per_class]
        chosen += [(rank, label, name, ids[i], accepted.get(name)) for rank, i in enumerate(order)]
    chosen.sort(key=lambda row: row[:2])
    table = pd.DataFrame(chosen, columns=["rank", "class_index", "class_name", "instance", "accepted"])
    table = table.drop(columns="rank").assign(split="test", view=0, texture="")
    return (table if accepted else table.drop(columns="accepted")), notices


def picture_reader(params: Params, seed: int) -> "Callable[[Any], Image]":
    """A function that returns the picture of a row, upright and in RGB."""
    return lambda row: read_photograph(Path(params.path) / row.instance)


def _listed(params: Params) -> tuple[list[tuple[str, str]], list[str]]:
    """(class, file) of every picture, and what is left out, in words."""
    root = Path(params.path)
    if params.layout == "table":
        return _of_table(params), []
    if params.layout == "classes":
        return _of_folder(root, "")
    if not root.is_dir():
        raise UserError(f"path: no folder {root}; it has to hold <severity>/<class>/<picture>")
    severities = sub_folders(root)
    if not severities or not all(name.isdecimal() for name in severities):
        has = ", ".join(severities[:5]) or "no folder"
        raise UserError(f"{root}: folders 1 to 5 of severities are expected, and there are {has}; or layout: classes")
    parts = [_of_folder(root / name, f"{name}/") for name in severities]
    return [one for found, _ in parts for one in found], [notice for _, notices in parts for notice in notices]


def _of_folder(root: Path, prefix: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The pictures of folders of classes, and what is left out."""
    asked = folder.Params(kind="folder", resolution_px=8, path=str(root), layout="classes")
    _, rows, notices = folder.list_folder(asked)
    found = [(name, prefix + file) for name, file in zip(rows["class_name"], rows["instance"], strict=True)]
    return found, [f"{prefix}: {notice}" if prefix else notice for notice in notices]


def _of_table(params: Params) -> list[tuple[str, str]]:
    """The pictures of a table, with the wanted values only."""
    assert params.table is not None
    rows = list(csv.DictReader(io.StringIO(_text(params.table), newline="")))
    there = list(rows[0]) if rows else []
    for column in (params.file, params.label, *params.only, *params.without):
        if column not in there:
            raise UserError(f"{params.table}: no column {column!r}; there are {', '.join(map(str, there)) or 'none'}")
    kept = [
        (number, row)
        for number, row in enumerate(rows, 2)  # 1 is that of the columns' names
        if all(row[column] in values for column, values in params.only.items())
        and all(row[column] not in values for column, values in params.without.items())
    ]
    if not kept:
        values = {column: sorted({row[column] or "" for row in rows})[:8] for column in (*params.only, *params.without)}
        raise UserError(f"{params.table}: no row is left by `only` and `without`; there are {values}")
    seen: dict[str, int] = {}
    for number, row in kept:
        if not (row[params.file] and row[params.label]):
            raise UserError(f"{params.table}, row {number}: no {params.file} or no {params.label}; complete it")
        if (first := seen.setdefault(row[params.file], number)) != number:
            raise UserError(f"{params.table}, row {number}: {row[params.file]} stands in row {first} too; leave one")
    return [(row[params.label], row[params.file]) for _, row in kept]


def _accepted(params: Params, labels: Sequence[str]) -> dict[str, str]:
    """The classifier's classes that are right for each class, as JSON; empty without a list.

    Raises:
        UserError: the list lacks a class, or is none; names the file.
    """
    path = params.class_list
    if path is None:
        return {}
    text = _text(path)
    if path.suffix == ".json":
        try:
            listed = json.loads(text)
        except ValueError as error:
            raise UserError(f"{path}: not JSON: {error}") from None
    else:
        listed = {}
        for words in (line.split(None, 1) for line in text.splitlines()):
            if len(words) == 2:
                answer = words[1].strip()
                listed.setdefault(words[0], []).append(int(answer) if answer.isdecimal() else answer)
    if not isinstance(listed, dict):
        raise UserError(f"{path}: a mapping from names to classes is expected")
    found: dict[str, list[Any]] = {}
    for name, value in listed.items():
        found[name] = value if isinstance(value, list) else [value.strip() if isinstance(value, str) else value]
        if not all(isinstance(one, str) or type(one) is int for one in found[name]):
            raise UserError(f"{path}: {name} stands for {value!r}; names or whole numbers of classes are expected")
    if missing := [name for name in labels if name not in found]:
        shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise UserError(f"{path}: {len(missing)} of {len(labels)} classes of {params.path} are not in it: {shown}")
    return {name: json.dumps(found[name]) for name in labels}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from None
