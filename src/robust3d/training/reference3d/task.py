"""Cross-entropy training of the reference classifier on jittered volumes."""

import torch
from torch import Tensor
from torch.nn import functional

from robust3d.data.volumes import VoxelData
from robust3d.models.encoder import seeded_initialisation
from robust3d.models.reference3d import Reference3D, describe
from robust3d.training.draws import Epochs
from robust3d.training.loop import Task
from robust3d.training.reference3d.params import ReferenceParams

_BATCH = 256  # of volumes that are judged


class ReferenceTask(Task):
    """Trains a new reference classifier.

    Args:
        train: volumes to learn.
        held_out: volumes that select the step.
        params: size, batches and jitter.
    """

    def __init__(self, train: VoxelData, held_out: VoxelData, params: ReferenceParams) -> None:
        with seeded_initialisation(params.seed, "reference3d"):
            self.network = Reference3D(len(train.classes), params.width).to(train.labels.device)
        self.module = self.network
        self.train, self.held_out, self.params = train, held_out, params
        self.images_per_step = params.batch_size
        self._epochs = Epochs(len(train), params.batch_size, params.seed)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of one batch."""
        index = self._epochs.batch(step)
        volumes = jittered(self.train.volumes(index).float(), self.params.jitter, generator)
        labels = self.train.labels[index.to(self.train.labels.device)]
        logits = self.module(volumes)
        return functional.cross_entropy(logits, labels), {"accuracy": (logits.argmax(1) == labels).double().mean()}

    def validate(self) -> dict[str, float]:
        """Accuracy on the held-out volumes, and that of the most frequent class."""
        counts = self.held_out.labels.bincount()
        return {"accuracy": accuracy(self.network, self.held_out), "chance": float(counts.max() / counts.sum())}

    def score(self, validation: dict[str, float]) -> float:
        """Accuracy."""
        return validation["accuracy"]


def accuracy(network: Reference3D, data: VoxelData) -> float:
    """Share of volumes that get their label."""
    _, chances = describe(network, (volumes for volumes, _ in data.batches(_BATCH)))
    return float((chances.argmax(1) == data.labels.cpu().numpy()).mean())


def jittered(volumes: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Volumes (N, 1, R, R, R), each shifted by up to `most` voxels along each axis; what leaves the grid is lost."""
    side = volumes.shape[-1]
    shifts = torch.randint(-most, most + 1, (len(volumes), 3), generator=generator, device=volumes.device)
    padded = functional.pad(volumes, (most,) * 6)
    corners = (most + shifts).tolist()
    return torch.stack([
        whole[:, x : x + side, y : y + side, z : z + side]
        for whole, (x, y, z) in zip(padded, corners, strict=True)
    ])  # fmt: skip
