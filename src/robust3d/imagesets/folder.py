"""Sets from a folder of pictures in torchvision's `ImageFolder` layout: root/<split>/<class>/… or root/<class>/….

A class is a folder, with the pictures in it and in folders below it. Hidden files, files of operating systems
(`__MACOSX`, Thumbs.db) and files without a suffix of pictures are ignored. Pictures of kinds that are not read are left
out and counted.
"""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from robust3d.data.depth_maps import DepthParams, depth_of, find_maps
from robust3d.data.packed import ReadDepth, open_images
from robust3d.data.params import SPLITS, PictureSetParams
from robust3d.data.published.files import read_photograph
from robust3d.data.published.inventory import listing
from robust3d.errors import UserError
from robust3d.params import PathText
from robust3d.parsing import parse

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

__all__ = ["Params", "depth_reader", "draw", "identity", "list_pictures", "open_images", "picture_reader"]
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_UNREAD = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".tga", ".psd"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw"),  # of cameras
)
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
NO_SPLIT = "any"
_DEEPEST = 4  # folders below a class
_LOOKS = 16  # in parallel: on a network file system each one waits for an answer


class Params(PictureSetParams):
    """Path and layout of the folder."""

    path: PathText  # the root
    layout: Literal["auto", "splits", "classes"] = "auto"  # splits: root/<split>/<class>; classes: root/<class>
    depth: DepthParams | None = None  # a folder of depth maps in the same folders, and what their numbers mean


class Remedies(NamedTuple):
    """What to do, in messages: here by keys of a configuration."""

    unclear: str = "say which by layout: splits, or layout: classes"
    empty: str = "delete its folder, or choose classes by label_order"


_BY_KEYS = Remedies()


class Found(NamedTuple):
    """A picture on disk."""

    split: str
    class_name: str
    file: str  # relative to the root, with forward slashes
    bytes: int
    time_ns: int

    @property
    def is_read(self) -> bool:
        """Whether it is of a kind that is read."""
        return self.file.lower().endswith(SUFFIXES)


def identity(params: Params) -> str:
    """Sixteen hex digits over names, sizes and times of the pictures and depth maps; none of them is opened.

    Raises:
        UserError: as `list_pictures`, or a picture has no depth map.
    """
    pictures = _pictures(params)
    lines = [f"{found.file}\t{found.bytes}\t{found.time_ns}" for found in pictures]
    if params.depth is not None:
        read = [one for one in pictures if one.is_read]
        wanted = [one.file for one in read if params.label_order is None or one.class_name in params.label_order]
        for path in find_maps(params.depth, wanted).values():
            status = path.stat()
            lines.append(f"{path}\t{status.st_size}\t{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def list_pictures(params: Params, seed: int) -> "tuple[tuple[str, ...], pd.DataFrame]":
    """Class names, sorted, and for each picture its split, class and id, which is its file from the root.

    Raises:
        UserError: the folder, its classes or pictures are missing, or something in it is not supported.
    """
    return list_folder(params)[:2]


def list_folder(
    params: Params, remedies: Remedies = _BY_KEYS
) -> "tuple[tuple[str, ...], pd.DataFrame, tuple[str, ...]]":
    """The same, and what is left out, in words.

    Raises:
        UserError: as `list_pictures`; the message says what to do by `remedies`.
    """
    import pandas as pd

    pictures = _pictures(params, remedies)
    found = [one for one in pictures if one.is_read]
    classes = tuple(sorted({one.class_name for one in found}))
    columns = {"split": [f.split for f in found], "class_name": [f.class_name for f in found]}
    rows = pd.DataFrame(columns | {"instance": [f.file for f in found]})
    return classes, rows, _left_out([one.file for one in pictures if not one.is_read])


def _left_out(files: Sequence[str]) -> tuple[str, ...]:
    if not files:
        return ()
    kinds = ", ".join(sorted({Path(file).suffix.lower() for file in files}))
    return (
        f"{len(files):,} picture{'s' * (len(files) > 1)} left out, such as {min(files)}: {kinds} is not read; convert "
        "to PNG or JPEG",
    )


def draw(params: Mapping[str, Any], files: Mapping[str, Sequence[Path]], seed: int) -> "tuple[pd.DataFrame, list[str]]":
    """The table of the set, and flags.

    Raises:
        UserError: as `list_pictures`; too few classes or images.
    """
    from robust3d.data.picture_sets import draw_pictures

    settings = parse(Params, params)
    classes, rows, left_out = list_folder(settings)
    table, notices = draw_pictures(classes, rows, settings, seed)
    return table, [*notices, *left_out]


def picture_reader(params: Params, seed: int) -> "Callable[[Any], Image]":
    """A function that returns the picture of a row, upright and in RGB.

    It raises a UserError if a picture cannot be read or would lose information: 16 bits per channel, transparency.
    """
    return lambda row: read_photograph(Path(params.path) / row.instance)


def depth_reader(params: Params, instances: Sequence[str]) -> "ReadDepth | None":
    """A function that returns the depth map of one of these pictures; None without maps.

    It raises a UserError if a map is damaged, of another size, or without a known pixel.

    Raises:
        UserError: a picture has no map, or several.
    """
    depth = params.depth
    if depth is None:
        return None
    maps = find_maps(depth, instances)
    return lambda row, size: depth_of(maps[row.instance], depth, size)


class Named(NamedTuple):
    """A picture as `picture_reader` takes it."""

    instance: str  # its file from the root


def loose_pictures(params: Params) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pictures that lie in the root itself, by name, none where it holds folders of classes; what is left out.

    Raises:
        UserError: no such folder, nothing in it, or pictures beside folders.
    """
    root = Path(params.path)
    if not root.is_dir():
        raise UserError(f"path: no folder {root}")
    folders = _folders(root)
    if folders and not any(entry.name.lower().endswith(SUFFIXES) for entry in _listed(root) if not entry.is_dir()):
        return (), ()
    if folders:
        raise UserError(f"{root}: pictures beside the folder {folders[0]!r}; move them into folders of their classes")
    there = [entry.name for entry in _files(root, root.resolve(), 0)]
    found = tuple(name for name in there if name.lower().endswith(SUFFIXES))
    if not found:
        raise UserError(f"{root}: no picture in it (they end in {', '.join(SUFFIXES)})")
    if unprintable := [name for name in there if not name.isprintable()]:
        raise UserError(f"{root}: a picture is named {unprintable[0]!r}; rename it in letters of UTF-8")
    return found, _left_out([name for name in there if name not in found])


def _pictures(params: Params, remedies: Remedies = _BY_KEYS) -> list[Found]:
    """All of them, also those of kinds that are not read."""
    root = Path(params.path)
    if not root.is_dir():
        raise UserError(f"path: no folder {root}; it has to hold <split>/<class>/<picture> or <class>/<picture>")
    places = [(split, folder / name) for split, folder in _splits(params, root, remedies) for name in _classes(folder)]
    spelt: dict[str, str] = {}
    for _, folder in places:
        if spelt.setdefault(unicodedata.normalize("NFC", folder.name), folder.name) != folder.name:
            raise UserError(f"{folder}: this class is written in two ways that look the same; rename one")
    with ThreadPoolExecutor(_LOOKS) as pool:
        found = list(pool.map(lambda place: _class_pictures(place[0], place[1], root), places))
    filled = {one.class_name for pictures in found for one in pictures if one.is_read}
    for name in sorted(set(spelt.values()) - filled):
        if params.label_order is None or name in params.label_order:
            raise UserError(
                f"{root}: no picture of class {name!r}; {remedies.empty} (pictures end in {', '.join(SUFFIXES)})"
            )
    return [one for pictures in found for one in pictures]


def _class_pictures(split: str, folder: Path, root: Path) -> list[Found]:
    """The pictures of one class in one split."""
    found = []
    for entry in _files(folder, root.resolve(), _DEEPEST):
        status = entry.stat()
        file = Path(entry.path).relative_to(root).as_posix()
        if not file.isprintable():  # also false for bytes that are not UTF-8
            raise UserError(f"{root}: a picture is named {file!r}; rename it in letters of UTF-8")
        found.append(Found(split, folder.name, file, status.st_size, status.st_mtime_ns))
    return found


def _splits(params: Params, root: Path, remedies: Remedies) -> list[tuple[str, Path]]:
    """The folders that hold classes, each with its split."""
    names = _folders(root)
    splits = [name for name in names if name.lower() in SPLIT_NAMES]
    layout = params.layout
    if layout == "auto":
        layout = "splits" if any(SPLIT_NAMES[name.lower()] == "train" for name in splits) else "classes"
        others = [name for name in names if name not in splits]
        if splits and (others or layout == "classes"):
            problem = f"{splits[0]!r} may be a split or a class" + (f", beside {others[0]!r}" if others else "")
            raise UserError(f"{root}: {problem}; {remedies.unclear}")
    if layout == "classes":
        return [(NO_SPLIT, root)]
    found: dict[str, Path] = {}
    for name in splits:
        split = SPLIT_NAMES[name.lower()]
        if split in found:
            raise UserError(f"{root}: {found[split].name!r} and {name!r} are the same split; move one away")
        found[split] = root / name
    if "train" not in found:
        raise UserError(f"{root}: no folder train/ in it; layout: classes is for root/<class>/<picture>")
    return [(split, found[split]) for split in SPLITS if split in found]


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in _listed(folder) if entry.is_dir()]


def _classes(folder: Path) -> list[str]:
    names = _folders(folder)
    if not names:
        raise UserError(f"{folder}: no folder of a class in it; pictures have to be in <class>/<picture>")
    return names


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    entries = listing(folder)
    for entry in entries:
        if entry.is_symlink() and not os.path.exists(entry.path):
            raise UserError(f"{entry.path}: a link to nothing; delete it, or copy there what it named")
    return entries


def _files(folder: Path, root: Path, deepest: int) -> Iterator[os.DirEntry[str]]:
    """The pictures in a folder and below it, by name, also those of kinds that are not read."""
    if not _is_inside(folder, root):
        raise UserError(f"{folder}: a link out of {root}; copy what it names, or link the whole root")
    for entry in _listed(folder):
        if entry.is_dir():
            if not deepest:
                raise UserError(f"{entry.path}: more than {_DEEPEST} folders below a class, or a link to one above it")
            yield from _files(Path(entry.path), root, deepest - 1)
        elif entry.name.lower().endswith(SUFFIXES + _UNREAD):
            if entry.is_symlink() and not _is_inside(Path(entry.path), root):
                raise UserError(f"{entry.path}: a link out of {root}; copy the picture there")
            if not entry.is_file():
                raise UserError(f"{entry.path}: not a plain file; move it away")
            yield entry


def _is_inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)
