"""Files of generated volumes, the same for every generator: a bit for each voxel, and how they came about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robust3d.data.volumes import U8, pack, unpack
from robust3d.errors import DamagedFile, UserError, why_unreadable

FORMAT = "robust3d-generated-1"
JOINT = -1  # label of a volume whose generator knows no classes
NO_ITERATION = -1
# What every generator says about itself: its method, the category that it was trained on (None: all), the seed of its
# training, why it collapsed (None: it did not), flags for every number that depends on it, its parameters.
FACTS = ("method", "category", "seed", "collapse", "notices", "training")


@dataclass(frozen=True)
class Generated:
    """The N volumes of a file.

    Attributes:
        packed: (N, ceil(R³/8)) uint8, see `robust3d.data.volumes.pack`.
        labels: (N,) int64, classes for which they were made; -1: the generator knows no classes.
        iterations: (N,) int64, after which they were made; -1: the generator has none.
        classes: names by label.
        resolution: side R.
        threshold: above which a voxel was filled.
        facts: see `FACTS`, and what else the generator says.
    """

    packed: U8
    labels: NDArray[np.int64]
    iterations: NDArray[np.int64]
    classes: tuple[str, ...]
    resolution: int
    threshold: float
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.packed)

    def volumes(self, rows: "slice | NDArray[np.integer]" = slice(None)) -> U8:
        """Volumes (n, R, R, R) of 0 and 1; by default all of them."""
        return unpack(self.packed[rows], self.resolution)


def write_generated(
    path: Path,
    volumes: "NDArray[np.bool_] | NDArray[np.integer] | NDArray[np.floating]",
    labels: "NDArray[np.integer] | Sequence[int]",
    classes: Sequence[str],
    iterations: "NDArray[np.integer] | Sequence[int] | None" = None,
    threshold: float = 0.5,
    **facts: Any,
) -> None:
    """Make volumes binary and write them; equal content, equal bytes.

    Args:
        path: of the new file.
        volumes: (N, R, R, R) or (N, 1, R, R, R), filled above the threshold; bool or numbers.
        labels: (N,) of the class for which each was made; -1: the generator knows no classes.
        classes: names by label, of the voxel set.
        iterations: (N,) after which each was made, of a generator that is saved several times.
        threshold: above which a voxel is filled.
        facts: all of `FACTS`, and more; what JSON can hold.

    Raises:
        ValueError: no volumes, some that are no cubes or not finite, other numbers of labels, a label without a class,
            or a fact that is missing.
    """
    array = np.asarray(volumes)
    is_cubes = array.ndim in (4, 5) and len(set(array.shape[-3:])) == 1 and array.shape[1:-3] in ((), (1,))
    if not is_cubes or not array.size:
        raise ValueError(f"generated volumes of shape {array.shape}; (N, R, R, R) are needed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("generated volumes that are not finite")
    numbers = np.asarray(labels, np.int64)
    made_after = np.full(len(array), NO_ITERATION) if iterations is None else np.asarray(iterations, np.int64)
    if numbers.shape != (len(array),) or made_after.shape != (len(array),):
        raise ValueError(f"{len(array)} volumes with {numbers.shape} labels and {made_after.shape} iterations")
    if not (numbers.min() >= JOINT and numbers.max() < len(classes)):
        raise ValueError(f"labels from {numbers.min()} to {numbers.max()} of {len(classes)} classes")
    if missing := [name for name in FACTS if name not in facts]:
        raise ValueError(f"what does the generator say about {', '.join(missing)}?")
    side = array.shape[-1]
    # No HDF5 locks, as for all volumes.
    with h5py.File(path, "w", libver="latest", track_order=False, locking=False) as file:
        file.attrs.update(format=np.bytes_(FORMAT), resolution=side, threshold=float(threshold))
        file.attrs["classes"] = json.dumps(list(classes))
        file["facts"] = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
        file["label"], file["iteration"] = numbers, made_after.astype(np.int64)
        file["voxels"] = pack(np.greater(array.reshape(len(array), side, side, side), threshold))


def read_generated(path: Path) -> Generated:
    """Read what `write_generated` wrote.

    Raises:
        UserError: the file is missing, damaged or another one.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            if bytes(file.attrs.get("format", b"")) != FORMAT.encode():
                raise DamagedFile(f"{path}: an HDF5 file, but not one of generated volumes ({FORMAT})")
            found = Generated(
                packed=file["voxels"][:],
                labels=file["label"][:],
                iterations=file["iteration"][:],
                classes=tuple(json.loads(file.attrs["classes"])),
                resolution=int(file.attrs["resolution"]),
                threshold=float(file.attrs["threshold"]),
                facts=json.loads(file["facts"][:].tobytes()),
            )
        count = len(found.labels)
        if found.packed.shape != (count, -(-(found.resolution**3) // 8)) or found.iterations.shape != (count,):
            raise ValueError("its parts have different lengths")
        return found
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of generated volumes") from None
    except UserError:
        raise
    except Exception as error:  # h5py raises many kinds of exceptions for damaged files
        damaged = f"damaged, or not a file of generated volumes: {error}; delete it to make it again"
        raise why_unreadable(path, error, damaged) from None
