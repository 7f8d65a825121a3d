"""The growing pool of pseudo-negatives: a byte a voxel in files, of which a batch is read at a time.

A block is one synthesised batch. Its file names the weights that made it, so that a training that goes on from an
earlier checkpoint takes the blocks that are there and makes the others again.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robust3d.errors import UserError
from robust3d.files import partial, publish

U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Block:
    """One batch of negatives (N, R, R, R) in a file, and how it came about.

    Attributes:
        iteration: after which it was made; 0: initial noise.
        number: of the batch among the iteration's.
        labels: (N,).
        low: value of byte 0.
        high: value of byte 255.
        weights: digest of the network that made it.
        steps: of synthesis.
        reached: whether the threshold ended the synthesis.
        threshold: of the batch's mean score; None: nothing was synthesised.
        scores: (N,) of the volumes; empty if nothing was synthesised.
    """

    iteration: int
    number: int
    labels: tuple[int, ...]
    low: float
    high: float
    weights: str
    steps: int = 0
    reached: bool = False
    threshold: float | None = None
    scores: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Of its files, without suffix."""
        return f"{self.iteration:05d}-{self.number:04d}"


def to_bytes(volumes: Tensor, limits: tuple[float, float] | None) -> tuple[U8, float, float]:
    """Volumes as bytes, and the values of byte 0 and of byte 255: `limits`, or the smallest and largest value."""
    low, high = limits or (float(volumes.min()), float(volumes.max()))
    high = high if high > low else low + 1
    scaled = ((volumes.detach().float() - low) / (high - low) * 255).round().clamp(0, 255)
    return scaled.to(torch.uint8).cpu().numpy(), low, high


class Pool:
    """The blocks of one training.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blocks: list[Block] = []
        self._labels = np.zeros(0, np.int64)
        self._places = np.zeros((0, 2), np.int64)  # block and row of each negative

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, iteration: int, number: int) -> Block:
        """A written block.

        Raises:
            UserError: it is not there, or cannot be read.
        """
        path = self.folder / f"{iteration:05d}-{number:04d}.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: cannot be read ({error}), but the checkpoint needs it; remove {path.parent.parent} to begin "
                "anew"
            ) from None
        return Block(**found | {"labels": tuple(found["labels"]), "scores": tuple(found["scores"])})

    def known(self, iteration: int, number: int, weights: str) -> Block | None:
        """A block that an earlier attempt made with the same weights."""
        try:
            block = self.read(iteration, number)
        except UserError:
            return None
        return block if block.weights == weights else None

    def write(self, block: Block, values: U8) -> None:
        """Write a block; its JSON last, which makes it valid."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stale = self.folder / f"{block.name}.json"
        stale.unlink(missing_ok=True)  # of other weights
        for suffix, content in ((".npy", values), (".json", None)):
            path = self.folder / f"{block.name}{suffix}"
            temporary = partial(path)
            if content is None:
                temporary.write_text(json.dumps(asdict(block)), encoding="utf-8")
            else:
                with temporary.open("wb") as file:
                    np.save(file, content)
            publish(temporary, path)

    def add(self, block: Block) -> None:
        """Take a written block into the pool."""
        rows = np.arange(len(block.labels))
        self._labels = np.concatenate([self._labels, np.array(block.labels, np.int64)])
        self._places = np.concatenate([self._places, np.stack([np.full_like(rows, len(self.blocks)), rows], 1)])
        self.blocks.append(block)

    def numbers(self, iterations: range | None = None) -> NDArray[np.int64]:
        """Numbers of the negatives of some iterations; None: all."""
        if iterations is None:
            return np.arange(len(self))
        inside = np.array([block.iteration in iterations for block in self.blocks], bool)
        return np.flatnonzero(inside[self._places[:, 0]])

    def labels(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels of negatives."""
        return self._labels[numbers]

    def volumes(self, numbers: NDArray[np.int64]) -> Tensor:
        """Negatives (n, 1, R, R, R) fp32: only their own bytes are read."""
        places = self._places[numbers]
        found: list[Tensor | None] = [None] * len(places)
        for index in np.unique(places[:, 0]):
            block = self.blocks[index]
            wanted = np.flatnonzero(places[:, 0] == index)
            values = torch.from_numpy(self._mapped(block)[places[wanted, 1]])
            for row, volume in zip(wanted, values.float() * ((block.high - block.low) / 255) + block.low):
                found[row] = volume
        return torch.stack([volume for volume in found if volume is not None])[:, None]

    def _mapped(self, block: Block) -> U8:
        values: U8 = np.load(self.folder / f"{block.name}.npy", mmap_mode="r")
        return values

    def each(self) -> Iterator[tuple[Block, U8]]:
        """All blocks with their bytes, one in memory at a time."""
        for block in self.blocks:
            yield block, np.array(self._mapped(block))
