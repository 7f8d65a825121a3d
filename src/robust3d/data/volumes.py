"""Labelled volumes of one split: voxels of objects, a bit each in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

U8 = NDArray[np.uint8]


def pack(volumes: NDArray[np.bool_]) -> U8:
    """Volumes (N, R, R, R) as (N, ceil(R³/8)) uint8, the first voxel in the highest bit."""
    return np.packbits(volumes.reshape(len(volumes), -1), axis=1)


def unpack(packed: U8, resolution: int) -> U8:
    """Volumes (N, R, R, R) of 0 and 1 from what `pack` gave."""
    bits = np.unpackbits(packed, axis=1, count=resolution**3)
    return bits.reshape(len(packed), resolution, resolution, resolution)


@dataclass(frozen=True)
class VoxelData:
    """The N volumes of a split.

    Attributes:
        packed: (N, ceil(R³/8)) uint8, see `pack`.
        labels: (N,) int64.
        ids: a name for each volume that says what it shows: class/object, and /turn where there are several.
        classes: names by label, also those without a volume in this split.
        split: "train", "val" or "test".
        resolution: side R.
        notices: flags for every number that depends on these volumes.
    """

    packed: U8
    labels: "Tensor"
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    split: str
    resolution: int
    notices: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        volumes: "Tensor | NDArray[np.generic]",
        labels: "Tensor | Sequence[int] | NDArray[np.integer]",
        classes: Sequence[str],
        split: str = "train",
        ids: Sequence[str] | None = None,
    ) -> "VoxelData":
        """Volumes in memory.

        Args:
            volumes: (N, R, R, R) or (N, 1, R, R, R), bool or numbers of which those above 0.5 are filled.
            labels: (N,).
            classes: names by label.
            split: which part they are.
            ids: a name each; None: their numbers.
        """
        import torch

        array = np.asarray(volumes)
        array = array.reshape(len(array), *array.shape[-3:])
        if len(set(array.shape[1:])) != 1 or len(labels) != len(array):
            raise ValueError(f"volumes of shape {array.shape} and {len(labels)} labels")
        names = tuple(map(str, range(len(array)))) if ids is None else tuple(ids)
        numbers = torch.as_tensor(labels, dtype=torch.int64)
        return cls(pack(array > 0.5), numbers, names, tuple(classes), split, array.shape[-1])

    def __len__(self) -> int:
        return len(self.packed)

    def volumes(self, indices: "Tensor | Sequence[int] | None" = None) -> "Tensor":
        """Volumes (n, 1, R, R, R) uint8 of 0 and 1 on the device of the labels; without indices all of them."""
        import torch

        chosen = self.packed if indices is None else self.packed[torch.as_tensor(indices).cpu().numpy()]
        return torch.from_numpy(unpack(chosen, self.resolution)).unsqueeze(1).to(self.labels.device)

    def batches(self, size: int) -> "Iterator[tuple[Tensor, Tensor]]":
        """Volumes and labels in order, `size` at a time."""
        import torch

        for index in torch.arange(len(self)).split(size):
            yield self.volumes(index), self.labels[index.to(self.labels.device)]

    def of_class(self, name: str) -> "VoxelData":
        """The volumes of one class, with the same labels."""
        return self.chosen(np.flatnonzero(self.labels.cpu().numpy() == self.classes.index(name)))

    def chosen(self, indices: NDArray[np.integer]) -> "VoxelData":
        """Some of the volumes."""
        import torch

        labels = self.labels[torch.as_tensor(indices).to(self.labels.device)]
        ids = tuple(self.ids[index] for index in indices)
        return replace(self, packed=self.packed[indices], labels=labels, ids=ids)

    def to(self, device: "torch.device | str") -> "VoxelData":
        """The same for a device: volumes are unpacked and moved there batch by batch."""
        return replace(self, labels=self.labels.to(device))
