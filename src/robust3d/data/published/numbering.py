"""Which files of an object belong together: file N in one folder goes with file N in another, and with camera N."""

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from robust3d.data.published.inventory import listing
from robust3d.errors import UserError

Note = Callable[[str], object]  # is called with remarks about data that are odd, but read
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".exr", ".hdr", ".pfm", ".npy", ".npz"}
_SHOWN = 5


class OtherKind(UserError):
    """A folder holds files, but none of the kind that is read."""


def to_stderr(text: str) -> None:
    """Say it to the person at the terminal."""
    print(f"note: {text}", file=sys.stderr)


def numbered_files(folder: Path, suffix: str, note: Note = to_stderr) -> dict[int, Path]:
    """The files of one kind in a folder by the number in their names, ascending.

    Args:
        folder: of one kind of views, such as image/.
        suffix: with the dot, in small letters.
        note: is called for pictures of other kinds in the same folder.

    Returns:
        {} for an empty folder.

    Raises:
        OtherKind: the folder holds files of other kinds only.
        UserError: it is not there, a name has no number, or two have the same.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; unpack the data set again")
    files: list[Path] = []
    others: Counter[str] = Counter()
    for entry in listing(folder):
        kind = os.path.splitext(entry.name)[1].lower()
        if kind == suffix:
            files.append(folder / entry.name)
        elif not entry.is_dir():
            others[kind or "nameless"] += 1
    if others and not files:
        raise OtherKind(
            f"{folder}: holds {_counted(others)} and no {suffix}; {suffix[1:].upper()} is needed, convert them"
        )
    pictures = Counter({kind: count for kind, count in others.items() if kind in _PICTURES})
    if pictures:
        note(f"{folder}: {_counted(pictures)} beside the {suffix} files are not read")
    return by_number(files)


def _counted(kinds: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {kind} files" for kind, count in sorted(kinds.items()))


def by_number(files: list[Path]) -> dict[int, Path]:
    """Files by the one number in which their names differ, ascending: "7.png", "view_0007.png", "car2-7.png" are 7.

    Raises:
        UserError: a name has no number, it is not clear which of several it is, or two files have the same.
    """
    parts = [re.split(r"([0-9]+)", path.stem) for path in files]  # texts and numbers in turn
    for path, names in zip(files, parts, strict=True):
        if len(names) == 1 or names[::2] != parts[0][::2]:
            raise UserError(
                f"{path}: file N goes with camera N, but this name {_unlike(names, files[0])}; name the views 0000, "
                "0001, … and leave nothing else beside them"
            )
    numbers = [[int(number) for number in names[1::2]] for names in parts]
    columns = {column for column in zip(*numbers, strict=True) if len(numbers[0]) == 1 or len(set(column)) > 1}
    if files and len(columns) != 1:
        raise UserError(
            f"{files[0]}: which of the numbers in its name is that of the view? Name the views 0000, 0001, …"
        )
    found: dict[int, Path] = {}
    for number, path in sorted(zip(*columns, files, strict=True)) if files else ():
        if number in found:
            raise UserError(f"{path}: {found[number].name} is view {number} as well; leave one of them")
        found[number] = path
    return found


def _unlike(names: list[str], other: Path) -> str:
    return "has no number" if len(names) == 1 else f"is not like {other.name}"


def check_same_views(folder: Path, **parts: Mapping[int, Path]) -> None:
    """Refuse an object in which a view has a file in one folder only.

    Args:
        folder: of the object.
        parts: files by number of two folders, by their names.

    Raises:
        UserError: naming the files without a partner.
    """
    (a, first), (b, second) = parts.items()
    lone = lone_files(first, second)
    if lone:
        joined = "and" if len(first) == len(second) else "but"
        raise UserError(
            f"{folder}: {len(first)} files in {a}/ {joined} {len(second)} in {b}/: {lone} without a partner of its "
            "number; unpack the data set again, or leave the view out in every folder"
        )


def lone_files(first: Mapping[int, Path], second: Mapping[int, Path]) -> str:
    """The files whose view has no file in the other folder, as "mask/0003.png, …"; "" if there are none."""
    lone = [first.get(number) or second[number] for number in sorted(set(first) ^ set(second))]
    return shortened([f"{path.parent.name}/{path.name}" for path in lone])


def shortened(names: list[str]) -> str:
    """The first few names, and a sign that there are more."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def chosen_views(folder: Path, there: int, wanted: int | None) -> list[int]:
    """Places of evenly spaced views among those of an object, in the order of their numbers.

    Raises:
        UserError: the object has none, or fewer than wanted.
    """
    if there == 0:
        raise UserError(f"{folder}: no views in it; unpack the data set again")
    if wanted is None:
        return list(range(there))
    if wanted > there:
        raise UserError(
            f"{folder}: {there} views, but views: {wanted} is asked for; ask for {there} or fewer of each object, or "
            "leave this object out"
        )
    return [(2 * place * there + wanted) // (2 * wanted) for place in range(wanted)]  # rounded, halves up
