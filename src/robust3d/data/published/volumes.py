"""Reads volumes that others made, one a file: binvox, .mat (3D ShapeNets' `instance`) and .npy."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robust3d.data.params import SPLITS
from robust3d.data.published.files import MIB, reading, regular_file
from robust3d.data.published.inventory import Entry, Inventory, Missing, check_missing, listing, root_folder
from robust3d.errors import UserError

LARGEST = 512  # side
_MAX_BYTES = 256 * MIB
_HEADER = re.compile(rb"#binvox \d+\s*\n(?:(?!data)[^\n]*\n)*?dim (\d+) (\d+) (\d+)\s*\n(?:(?!data)[^\n]*\n)*?data\n")
_HDF5 = b"MATLAB 7.3"
Volume = NDArray[np.bool_]


class BrokenVolume(UserError):
    """A volume that cannot be used; the message names its file and says why."""


def read_volume(path: Path) -> Volume:
    """A volume (D, H, W), its axes as in the file; binvox's are x, y, z.

    Raises:
        BrokenVolume: unreadable, not binary, empty, or not a single volume.
    """
    path = Path(path)
    kinds = {".binvox": _binvox, ".mat": _mat, ".npy": _npy}
    if path.suffix.lower() not in kinds:
        raise BrokenVolume(f"{path}: only {', '.join(kinds)} volumes are read; convert it")
    try:
        regular_file(path, _MAX_BYTES, "a volume")
        with reading(path, "not a readable volume", "copy or convert it again"):
            values = kinds[path.suffix.lower()](path)
    except UserError as error:
        raise BrokenVolume(str(error)) from None
    values = values.squeeze() if values.ndim > 3 else values
    if values.ndim != 3:
        raise BrokenVolume(f"{path}: an array of shape {values.shape}; a file holds one volume of three dimensions")
    if not np.isin(values, (0, 1)).all():
        raise BrokenVolume(f"{path}: values other than 0 and 1; binarise it")
    if not values.any():
        raise BrokenVolume(f"{path}: an empty volume")
    return values.astype(bool)


def _binvox(path: Path) -> NDArray[Any]:
    """Patrick Min's binvox: runs of values, of which y runs fastest, then z, then x."""
    content = path.read_bytes()
    header = _HEADER.match(content)
    if header is None:
        raise UserError(f"{path}: does not begin as a binvox file does")
    sides = [int(side) for side in header.groups()]
    if not 0 < min(sides) <= max(sides) <= LARGEST:
        raise UserError(f"{path}: claims {'x'.join(map(str, sides))} voxels; at most {LARGEST} a side are read")
    runs = np.frombuffer(content, np.uint8, offset=header.end())
    values, counts = runs[0 : len(runs) // 2 * 2 : 2], runs[1::2]
    if len(runs) % 2 or counts.sum(dtype=np.int64) != np.prod(sides):
        raise UserError(f"{path}: cut off, or with more voxels than it claims")
    depth, height, width = sides
    return np.repeat(values, counts).reshape(depth, width, height).transpose(0, 2, 1)


def _mat(path: Path) -> NDArray[Any]:
    """The variable `instance`, or the only one with three dimensions."""
    import scipy.io  # only users of this format need it

    with path.open("rb") as file:
        if file.read(len(_HDF5)) == _HDF5:
            raise UserError(f"{path}: saved in MATLAB's format 7.3; save it with -v7")
    shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path) if 3 <= len(shape) <= 5}
    name = "instance" if "instance" in shapes else next(iter(shapes), None)
    if name is None or (name != "instance" and len(shapes) > 1):
        raise UserError(f"{path}: no variable `instance`, and {len(shapes)} others of three dimensions")
    _check_size(shapes[name], path)
    return np.asarray(scipy.io.loadmat(path, variable_names=[name])[name])


def _npy(path: Path) -> NDArray[Any]:
    array = np.load(path, allow_pickle=False, mmap_mode="r")
    _check_size(array.shape, path)
    return np.array(array)


def _check_size(shape: tuple[int, ...], path: Path) -> None:
    if np.prod([float(side) for side in shape]) > LARGEST**3:
        raise UserError(f"{path}: claims {'x'.join(map(str, shape))} voxels; at most {LARGEST} a side are read")


def take_inventory(root: str | Path, params: Any) -> Inventory:
    """List volumes in `<class>/`, or in its folders `train` and `test` as 3D ShapeNets has them; none is opened.

    Args:
        root: the data set's folder.
        params: `classes`, `format`, `instances`, `missing` and `folder`, which lies between a class and its split.

    Raises:
        Missing: the folder, a class or its volumes are not there.
    """
    root = root_folder(root, "volumes")
    inventory = Inventory("volumes", {})
    with reading(root, "cannot be listed", "look at its links and permissions"):
        for name in params.classes:
            inside = f"{name}/{params.folder}" if params.folder else name
            if not (root / inside).is_dir():
                raise Missing("volumes", f"{root}: no folder {inside} for class {name!r}")
            there = [split for split in SPLITS if (root / inside / split).is_dir()]
            found: dict[str, Entry] = {}
            splits: dict[str, tuple[str, ...]] = dict.fromkeys(SPLITS, ())
            for split in there or [""]:
                folder = f"{inside}/{split}" if split else inside
                entries = [e for e in listing(root / folder) if e.name.lower().endswith(f".{params.format}")]
                keys = []
                for entry in entries[: params.instances]:
                    key = entry.name.rpartition(".")[0]
                    if key in found:
                        raise UserError(f"{entry.path}: {root / found[key].path} has the same name; leave one of them")
                    found[key] = Entry(f"{folder}/{entry.name}", entry.stat().st_size)
                    keys.append(key)
                if split:
                    splits[split] = tuple(keys)
            inventory.classes[name] = dict(sorted(found.items()))
            if there:
                inventory.splits[name] = splits
    return check_missing(inventory, params.missing, root)
