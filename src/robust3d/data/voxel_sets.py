"""The manifest of a voxel set, and the volumes of its splits."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.data.faults import Faults, fault_notices
from robust3d.data.volume_shards import Held, read_volumes
from robust3d.data.volumes import VoxelData
from robust3d.errors import UserError, why_unreadable
from robust3d.files import sha256

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Voxels:
    """A voxel set: its files, classes and splits.

    Attributes:
        name: key of `voxels` in the configuration.
        classes: names in label order.
        resolution: side of every volume.
        turns: volumes of each object.
        splits: object ids of "train", "val" and "test"; each class has those that are in its files.
        files: path, ids by class and sha256 of each.
        left_out: objects without volumes, as "class/id", and why.
        faults: of the meshes, objects as "class/id".
    """

    name: str
    classes: tuple[str, ...]
    resolution: int
    turns: int
    splits: dict[str, tuple[str, ...]]
    files: tuple[dict[str, Any], ...]
    left_out: dict[str, str]
    faults: Faults

    def write(self, path: Path) -> None:
        """Write as JSON, the same bytes for the same content."""
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Voxels":
        """Read what `write` wrote.

        Raises:
            UserError: missing, or not a manifest of volumes.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content["classes"], content["files"] = tuple(content["classes"]), tuple(content["files"])
            content["splits"] = {name: tuple(ids) for name, ids in content["splits"].items()}
            return cls(**content)
        except FileNotFoundError:
            raise UserError(f"{path}: no such manifest of volumes; ask snakemake for it") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            damaged = f"not a manifest of volumes ({error!r:.120}); delete it to make it again"
            raise why_unreadable(path, error, damaged) from None

    def notices(self) -> list[str]:
        """Flags for every number that depends on these volumes."""
        found = fault_notices(self.name, self.faults)
        if self.left_out:
            first = "; ".join(f"{name}: {why}" for name, why in sorted(self.left_out.items())[:3])
            more = "; …" * (len(self.left_out) > 3)
            found.append(f"voxels {self.name}: {len(self.left_out):,} objects left out ({first}{more})")
        return found

    def open(self, split: str, classes: Sequence[str] | None = None) -> VoxelData:
        """The volumes of a split, class by class.

        Args:
            split: "train", "val" or "test".
            classes: names in label order; None: all of the set.

        Raises:
            UserError: a file is missing or has changed, or a class has no object in this split.
        """
        held = _joined([_read(Path(file["path"]), file["sha256"]) for file in self.files])
        names = tuple(classes or self.classes)
        if unknown := [name for name in names if name not in self.classes]:
            raise UserError(f"voxels {self.name}: no class {unknown[0]!r}; there are {', '.join(self.classes)}")
        label = {name: number for number, name in enumerate(names)}
        wanted = np.isin(held.class_name, names) & np.isin(held.instance, self.splits[split])
        rows = np.flatnonzero(wanted)
        labels = np.array([label[name] for name in held.class_name[rows].tolist()], np.int64)
        order = np.lexsort((held.turn[rows], held.instance[rows], labels))
        rows, labels = rows[order], labels[order]
        if empty := [name for name in names if label[name] not in labels]:
            raise UserError(
                f"voxels {self.name}: class {empty[0]} has no {split} object; give it more, or leave it out"
            )
        return VoxelData(
            packed=held.packed[rows],
            labels=_tensor(labels),
            ids=tuple(_id(held, row, self.turns) for row in rows),
            classes=names,
            split=split,
            resolution=self.resolution,
            notices=tuple(self.notices()),
        )


def open_voxels(manifest: Path, split: str, classes: Sequence[str] | None = None) -> VoxelData:
    """The volumes of a split of a voxel set: see `Voxels.open`."""
    return Voxels.read(manifest).open(split, classes)


def open_category(manifest: Path, split: str, category: str | None) -> VoxelData:
    """A split, or the volumes of one of its classes, with labels as in the whole; None: all.

    Raises:
        UserError: no such class; else as `open_voxels`.
    """
    volumes = open_voxels(manifest, split)
    if category is None:
        return volumes
    if category not in volumes.classes:
        raise UserError(f"category: {category!r} is no class of these volumes; there are {', '.join(volumes.classes)}")
    return volumes.of_class(category)


def open_file(path: Path) -> VoxelData:
    """All volumes of one file, such as `robust3d voxelise` writes; its classes are in the order of their names.

    Raises:
        UserError: the file is missing, damaged or another one.
    """
    held = read_volumes(path)
    classes, labels = np.unique(held.class_name, return_inverse=True)
    ids = tuple(_id(held, row, int(held.turn.max(initial=0)) + 1) for row in range(len(held.packed)))
    names = tuple(map(str, classes))
    return VoxelData(held.packed, _tensor(labels.astype(np.int64)), ids, names, "all", held.resolution)


def _tensor(labels: "np.ndarray[Any, np.dtype[np.int64]]") -> "Tensor":
    import torch  # not at the top: stages that only write volumes import this module

    return torch.from_numpy(labels)


def _id(held: Held, row: int, turns: int) -> str:
    name = f"{held.class_name[row]}/{held.instance[row]}"
    return f"{name}/{held.turn[row]}" if turns > 1 else name


def _read(path: Path, wanted: str) -> Held:
    if not path.is_file():
        raise UserError(f"{path}: this file of volumes is missing; ask snakemake for it again")
    held = read_volumes(path)
    if sha256(path) != wanted:
        raise UserError(f"{path}: not the file of the manifest any more; delete it, it will be made again")
    return held


def _joined(parts: Sequence[Held]) -> Held:
    """All volumes of several files of one resolution."""
    names = ("packed", "class_name", "instance", "turn")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Held(**arrays, resolution=parts[0].resolution)
