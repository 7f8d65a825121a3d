"""Files of volumes: objects of one or more classes in HDF5, a bit for each voxel; equal volumes, equal bytes."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robust3d.data.volumes import U8, pack
from robust3d.errors import DamagedFile, UserError, why_unreadable

FORMAT = "robust3d-volumes-1"
LARGEST = 256  # side of a volume
Objects = Iterable[tuple[str, NDArray[np.bool_]]]
"""Of each object its id and its volumes (T, R, R, R), one for each turn."""


@dataclass(frozen=True)
class Held:
    """The N volumes of a file.

    Attributes:
        packed: (N, ceil(R³/8)) uint8, see `robust3d.data.volumes.pack`.
        class_name, instance: (N,) str.
        turn: (N,) int64, from 0.
        resolution: side R.
    """

    packed: U8
    class_name: NDArray[np.str_]
    instance: NDArray[np.str_]
    turn: NDArray[np.int64]
    resolution: int


def write_volumes(path: Path, objects: Mapping[str, Objects], resolution: int) -> dict[str, Any]:
    """Write a file object by object, so that only packed bits are in memory.

    Args:
        path: of the new file.
        objects: of each class; classes may share ids.
        resolution: side of every volume.

    Returns:
        The manifest's entry: ids by class, number of volumes, resolution, sha256, bytes.

    Raises:
        ValueError: a volume of another size.
    """
    packed: list[U8] = []
    rows: list[tuple[str, str]] = []
    turns: list[int] = []
    for class_name, its_objects in objects.items():
        for instance, volumes in its_objects:
            if volumes.shape[1:] != (resolution,) * 3:
                raise ValueError(f"{instance}: volumes of {volumes.shape[1:]} voxels in a file of {resolution}")
            packed.append(pack(volumes))
            rows += [(class_name, instance)] * len(volumes)
            turns += range(len(volumes))
    # No HDF5 locks, also when reading: many shared file systems do not support them, and no other job writes this file.
    with h5py.File(path, "w", libver="latest", track_order=False, locking=False) as file:
        file.attrs.update(format=np.bytes_(FORMAT), resolution=resolution)
        file["class_name"] = _texts(name for name, _ in rows)
        file["instance"] = _texts(instance for _, instance in rows)
        file["turn"] = np.array(turns, np.int32)
        file["voxels"] = np.concatenate(packed or [np.zeros((0, -(-(resolution**3) // 8)), np.uint8)])
    content = path.read_bytes()
    return {
        "classes": {name: sorted({instance for held, instance in rows if held == name}) for name in objects},
        "volumes": len(rows),
        "resolution": resolution,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }


def _texts(names: Iterable[str]) -> NDArray[np.bytes_]:
    return np.array([name.encode() for name in names] or np.zeros(0, "S1"))


def read_volumes(path: Path) -> Held:
    """Read what `write_volumes` wrote.

    Raises:
        UserError: the file is missing, damaged or another one.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            if bytes(file.attrs.get("format", b"")) != FORMAT.encode():
                raise DamagedFile(f"{path}: an HDF5 file, but not one of volumes ({FORMAT})")
            resolution = int(file.attrs["resolution"])
            _check(file, resolution)
            classes, instances = (np.char.decode(file[name][:], "utf-8") for name in ("class_name", "instance"))
            return Held(file["voxels"][:], classes, instances, file["turn"][:].astype(np.int64), resolution)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of volumes") from None
    except UserError:
        raise
    except Exception as error:  # h5py raises many kinds of exceptions for damaged files
        damaged = f"damaged, or not a file of volumes: {error}; delete it to make it again"
        raise why_unreadable(path, error, damaged) from None


def _check(file: h5py.File, resolution: int) -> None:
    """Refuse impossible sizes before memory is allocated: HDF5 stores the bits uncompressed."""
    count = len(file["turn"])
    shapes = {"class_name": (count,), "instance": (count,), "voxels": (count, -(-(resolution**3) // 8))}
    wrong = [name for name, shape in shapes.items() if file[name].shape != shape]
    if wrong or not 1 <= resolution <= LARGEST or file["voxels"].dtype != np.uint8:
        raise ValueError(f"the shape of {wrong[0] if wrong else 'its volumes'} is wrong")
    if sum(dataset.nbytes for dataset in file.values()) > file.id.get_filesize():
        raise ValueError("it claims more data than it has bytes")
