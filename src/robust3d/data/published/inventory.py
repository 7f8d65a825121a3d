"""What a published data set on the user's disk holds: taken from folder listings, without opening an image or mesh."""

import hashlib
import json
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from robust3d.data.params import SPLITS
from robust3d.errors import UserError

FORMAT = "robust3d-inventory-2"
_NOT_OURS = {  # what network drives, archives and file managers leave in folders; compared in small letters
    *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "__macosx"),
    *("lost+found", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
}


class Source(NamedTuple):
    """Where a published data set comes from."""

    name: str
    origin: str
    licence: str
    place: str
    how: str = ""  # how to get it, where that is not to unpack an archive from `origin`

    def advice(self) -> str:
        """What to do where it is missing."""
        return self.how or (
            f"get it from {self.origin} (licence: {self.licence}), unpack it, for instance into {self.place}, and set "
            "path to the folder that holds the classes"
        )


SOURCES = {
    "nmr": Source(
        "the NMR renders of ShapeNet (NMR_Dataset.zip, 34 GB)",
        "the 'Dataset' section of https://github.com/autonomousvision/differentiable_volumetric_rendering",
        "ShapeNet's terms: non-commercial research and education, after registration at https://shapenet.org",
        "resources/nmr",
    ),
    "srn": Source(
        "the SRN renders of ShapeNet's cars and chairs (cars.zip, chairs.zip)",
        "the authors' drive, linked from https://github.com/vsitzmann/scene-representation-networks",
        "ShapeNet's terms: non-commercial research and education, after registration at https://shapenet.org",
        "resources/srn",
    ),
    "shapenetcore": Source(
        "ShapeNetCore (version 1 or 2)",
        "https://shapenet.org",
        "free for non-commercial research and education after registration there",
        "resources/shapenetcore",
    ),
    "modelnet": Source(
        "ModelNet10 or ModelNet40",
        "https://modelnet.cs.princeton.edu",
        "for academic research; the models belong to their authors",
        "resources/modelnet",
    ),
    "volumes": Source(
        "volumes as .mat, .npy or .binvox, such as 3D ShapeNets' of ModelNet (volumetric_data in 3DShapeNetsCode.zip)",
        "https://3dshapenets.cs.princeton.edu",
        "for academic research; the models belong to their authors",
        "resources/volumes",
    ),
    "sweethome3d": Source(
        "Sweet Home 3D's catalogues of furniture (.sh3f files, 120 MB)",
        "https://www.sweethome3d.com",
        "free, most of it CC BY 3.0 and the rest CC0: creators are named in attribution.txt",
        "/usr/share/sweethome3d/furniture",
        "either `apt-get install sweethome3d-furniture` (Debian, Ubuntu), or download the libraries of 3D models at "
        "https://www.sweethome3d.com and set the family's key path to the folder that holds the .sh3f files",
    ),
    "dtd": Source(
        "the Describable Textures Dataset (dtd-r1.0.1.tar.gz)",
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        "for research",
        "resources/dtd",
    ),
}


class Missing(UserError):
    """Part of a published data set is not where the configuration says; the message tells where to get it."""

    def __init__(self, layout: str, what: str) -> None:
        source = SOURCES[layout]
        super().__init__(f"{what}. This needs {source.name}: {source.advice()}")


class Credit(NamedTuple):
    """Who made an object, and under which licence."""

    name: str  # of the object
    creator: str
    licence: str
    collection: str  # that it is part of


@dataclass(frozen=True)
class Entry:
    """One object on disk.

    Attributes:
        path: of its folder or mesh file, from the data set's root, with forward slashes.
        bytes: size of the mesh file, or of the object's camera file: images are not looked at.
        files: identity of its files, see `robust3d.data.published.identity`; empty before it is taken.
        folder: all files in it belong to the object, such as a mesh's pictures; empty: only what `path` names.
        member: its name in the file, if that holds several.
        group: of twins, which go to one side of a split; empty: none.
        credit: what has to be said where it is shown; None: nothing is known of each object.
    """

    path: str
    bytes: int
    files: str = ""
    folder: str = ""
    member: str = ""
    group: str = ""
    credit: Credit | None = None

    @property
    def whole(self) -> str:
        """The file or folder that holds all of it."""
        return self.folder or self.path

    def plain(self) -> dict[str, Any]:
        """For JSON; what few entries have is left out where it is empty."""
        rare = {"member": self.member, "group": self.group, "credit": self.credit and self.credit._asdict()}
        values = {name: value for name, value in asdict(self).items() if name not in rare}
        return values | {name: value for name, value in rare.items() if value}


@dataclass(frozen=True)
class Inventory:
    """What is there.

    Attributes:
        layout: key of `SOURCES`.
        classes: by class name, in label order: the object ids, sorted, and where each is.
        splits: by class name, then "train", "val" and "test": the ids of the published division that are there;
            empty if none was published or none is wanted. A division may leave "val" empty.
        missing: by class name: ids that the published lists name but that are not on disk.
    """

    layout: str
    classes: dict[str, dict[str, Entry]]
    splits: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        """Number of objects."""
        return sum(len(entries) for entries in self.classes.values())

    @property
    def bytes(self) -> int:
        """Sum of the entries' sizes."""
        return sum(entry.bytes for entries in self.classes.values() for entry in entries.values())

    @property
    def identity(self) -> str:
        """Sixteen hex digits over all of it."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Text, the same for the same content."""
        content = asdict(self) | {"format": FORMAT, "totals": {"objects": self.objects, "bytes": self.bytes}}
        content["class_order"] = list(self.classes)
        content["classes"] = {
            label: {key: entry.plain() for key, entry in entries.items()} for label, entries in self.classes.items()
        }
        return json.dumps(content, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "inventory") -> "Inventory":
        """Read what `to_json` wrote.

        Raises:
            UserError: it is something else; the message begins with `name`.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise KeyError("format")
            classes = {
                label: {
                    key: Entry(
                        str(entry["path"]),
                        int(entry["bytes"]),
                        str(entry["files"]),
                        str(entry["folder"]),
                        str(entry.get("member", "")),
                        str(entry.get("group", "")),
                        Credit(**entry["credit"]) if "credit" in entry else None,
                    )
                    for key, entry in content["classes"][label].items()
                }
                for label in content["class_order"]
            }
            splits = {
                label: {split: tuple(parts[split]) for split in SPLITS} for label, parts in content["splits"].items()
            }
            missing = {label: tuple(ids) for label, ids in content["missing"].items()}
            found = cls(content["layout"], classes, splits, missing)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{name}: not an inventory of this version ({error!r}); delete it to have it made again"
            ) from None
        return found

    def describe(self) -> str:
        """One line a class: how many objects, how they are divided, and what is left out."""
        lines = []
        for label, entries in self.classes.items():
            parts = ", ".join(f"{len(ids)} {split}" for split, ids in self.splits.get(label, {}).items())
            out = self.missing.get(label, ())
            left_out = f"; {len(out)} left out that are not there: {_first(out)}" if out else ""
            lines.append(f"{label}: {len(entries)} objects{f' ({parts})' if parts else ''}{left_out}")
        return "\n".join(lines)


def root_folder(path: str | Path, layout: str) -> Path:
    """The data set's folder.

    Raises:
        Missing: it is not there, or a file that has to be unpacked.
        UserError: it cannot be looked at.
    """
    root = Path(path)
    try:
        if stat.S_ISDIR(root.stat().st_mode):
            return root
    except FileNotFoundError:
        raise Missing(layout, f"path: no folder {path}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"path: {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    raise Missing(layout, f"path: {path} is a file, not a folder")


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """Entries of a folder, sorted by name, without hidden files and files of operating systems.

    Raises:
        UserError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if is_ours(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}") from None


def is_ours(name: str) -> bool:
    """Whether a name in a folder can be part of a data set: not hidden, and nothing that a system leaves behind."""
    return not name.startswith(".") and name.lower() not in _NOT_OURS


def sub_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted."""
    return [entry.name for entry in listing(folder) if entry.is_dir()]


def the_one(folders: Sequence[Path]) -> Path | None:
    """The one of several folders in which a class may lie that is there; None if none is.

    Raises:
        UserError: more than one is, and they are not links to each other.
    """
    there = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    if len(there) > 1:
        raise UserError(f"{' and '.join(map(str, there.values()))}: which of them is it? Move the other one away")
    return next(iter(there.values()), None)


def check_id(name: str, where: Path) -> str:
    """An object's id out of a list, which becomes a folder's name.

    Raises:
        UserError: it could name a folder elsewhere.
    """
    if not name or name in (".", "..") or "/" in name or "\\" in name or not name.isprintable() or len(name) > 200:
        raise UserError(
            f"{where}: {name[:60]!r} is not an object id; each line is the name of a folder beside the list"
        )
    return name


def check_missing(
    inventory: Inventory, policy: str, root: Path, partial: Collection[str] = (), file: str = ""
) -> Inventory:
    """The inventory, unless objects are missing and that is an error.

    Args:
        inventory: with its missing objects.
        policy: "error" or "skip".
        root: of the data set.
        partial: those of the missing objects, as "class/id", whose folders are there without the file `file`.
        file: which every object has.

    Raises:
        Missing: naming how many and the first five.
        UserError: an object's name cannot be written down.
    """
    for label, entries in inventory.classes.items():
        if odd := [key for key in entries if not key.isprintable()]:
            raise UserError(f"{root}: an object of {label} is named {odd[0]!r}; rename it in letters of UTF-8")
    absent = [f"{label}/{key}" for label, ids in inventory.missing.items() for key in ids]
    if absent and policy == "error":
        total = inventory.objects + len(absent)
        gone = [key for key in absent if key not in set(partial)]
        groups = ((gone, "that the data set's lists name are not there"), (partial, f"have a folder without {file}"))
        problem = "; ".join(
            f"{len(keys):,} of {total:,} objects {what}: {_first(keys)}" for keys, what in groups if keys
        )
        raise Missing(inventory.layout, f"{root}: {problem} (missing: skip goes on without them)")
    for label, entries in inventory.classes.items():
        if not entries:
            raise Missing(inventory.layout, f"{root}: no object of class {label!r} is there")
    return inventory


def _first(names: Collection[str]) -> str:
    return ", ".join(list(names)[:5]) + (", …" if len(names) > 5 else "")
