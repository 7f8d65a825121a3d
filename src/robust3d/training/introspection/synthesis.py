"""Reclassification by synthesis: training against pseudo-negatives that the network itself synthesises."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from robust3d.data.volumes import VoxelData
from robust3d.models.introspective.synthesis import frozen_weights, synthesise
from robust3d.seeds import numpy_generator, torch_generator
from robust3d.training.introspection.params import VoxelTrainingParams
from robust3d.training.introspection.pool import Block, Pool, to_bytes
from robust3d.training.introspection.tasks import (
    VALIDATION_BATCH,
    AdversarialTraining,
    PenalisedTraining,
    VoxelTraining,
)

SAME = 1e-4  # mean variance of a voxel over the samples of an iteration, below which they are one shape
EMPTY, FULL = 0.001, 0.9  # share of filled voxels


class IntrospectiveTraining(PenalisedTraining):
    """Trains the network and lets it synthesise, in turn.

    Iteration t of `iterations` is `critic_steps` optimiser steps on real volumes and negatives, and a synthesis with
    the weights that they lead to: before the first step of iteration t + 1, or in `finish` after the last.

    Args:
        volumes: to train on.
        held_out: to validate on.
        params: of the training.
        folder: of the pool's files; outlives a killed run.
    """

    def __init__(self, volumes: VoxelData, held_out: VoxelData, params: VoxelTrainingParams, folder: Path) -> None:
        super().__init__(volumes, held_out, params)
        self.pool = Pool(folder)
        self.classes = len(volumes.classes) if params.supervised else 1
        self._by_class: list[NDArray[np.int64]] = []

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 3 of a batch; a synthesis before it where one is due."""
        if step % self.params.critic_steps == 0:
            self.grow(step // self.params.critic_steps)
        elif not len(self.pool):
            self._restore(step // self.params.critic_steps)
        return super().loss(step, generator)

    # --- the pool -----------------------------------------------------------------------------------------------

    def grow(self, iteration: int) -> None:
        """Synthesise the negatives that follow an iteration (0: initial noise), and forget the range of scores."""
        self._take_earlier(iteration)
        weights = self._digest()
        size, batch = self.params.block(iteration), self.params.synthesis_batch
        labels = np.arange(size) % self.classes
        starts = self._starts(iteration, labels)
        for number, first in enumerate(range(0, size, batch)):
            rows = slice(first, first + batch)
            block = self.pool.known(iteration, number, weights)
            if block is None:
                block, values = self._synthesised(iteration, number, labels[rows], starts[rows], weights)
                self.pool.write(block, values)
            self.pool.add(block)
        self.module.score_range.copy_(torch.tensor([torch.inf, -torch.inf]))
        self._sort()

    def _restore(self, iteration: int) -> None:
        """Take the blocks of a resumed run, whose checkpoint is inside an iteration."""
        self._take_earlier(iteration + 1)
        self._sort()

    def _take_earlier(self, iteration: int) -> None:
        """Take the written blocks of all earlier iterations, if this process has none yet."""
        if self.pool.blocks:
            return
        for earlier in range(iteration):
            for number in range(-(-self.params.block(earlier) // self.params.synthesis_batch)):
                self.pool.add(self.pool.read(earlier, number))

    def _sort(self) -> None:
        newest = self.pool.blocks[-1].iteration
        numbers = self.pool.numbers(None if self.params.reuse_older else range(newest, newest + 1))
        labels = self.pool.labels(numbers)
        self._by_class = [numbers[labels == label] for label in range(self.classes)]

    def negatives(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """A negative of the class of each real volume, from all of the pool or its newest part."""
        draws = torch.rand(len(labels), generator=generator, device=generator.device, dtype=torch.float64).tolist()
        wanted = labels.tolist() if self.classes > 1 else [0] * len(labels)
        members = [self._by_class[label] for label in wanted]
        numbers = np.array([group[int(draw * len(group))] for group, draw in zip(members, draws)])
        return self.pool.volumes(numbers).to(labels.device)

    # --- synthesis ----------------------------------------------------------------------------------------------

    def _starts(self, iteration: int, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each volume to synthesise the negative that it starts from, of the same class; -1: noise."""
        each = self.params.cascade_iterations
        cascade = max(0, iteration - 1) // each
        starts = np.full(len(labels), -1)
        if cascade == 0 or self.params.start == "noise":
            return starts
        last = self.pool.numbers(range(cascade * each, cascade * each + 1))
        for label in np.unique(labels):
            group, places = last[self.pool.labels(last) == label], np.flatnonzero(labels == label)
            shuffled = numpy_generator(self.params.seed, "starts", iteration, int(label)).permutation(group)
            starts[places] = np.resize(shuffled, len(places))
        return starts

    def _synthesised(
        self, iteration: int, number: int, labels: NDArray[np.int64], starts: NDArray[np.int64], weights: str
    ) -> tuple[Block, Any]:
        """One block and its bytes."""
        device = self.volumes.labels.device
        generator = torch_generator(self.params.seed, "synthesis", iteration, number, device=device)
        if (starts < 0).all():
            shape = (len(labels), 1, *(self.volumes.resolution,) * 3)
            start = torch.randn(shape, generator=generator, device=device)
        else:
            start = self.pool.volumes(starts).to(device)
        facts: dict[str, Any] = {"iteration": iteration, "number": number, "labels": tuple(labels.tolist())}
        if iteration == 0:
            values, low, high = to_bytes(start[:, 0], None)
            return Block(low=low, high=high, weights=weights, **facts), values
        share = float(torch.rand((), generator=generator, device=device))
        low, high = self.module.score_range.tolist()
        threshold = low + share * (high - low)
        targets = torch.from_numpy(labels).to(device)
        with frozen_weights(self.module):
            found = synthesise(self._scorer(targets), start, self.params.synthesis, threshold, generator)
        values, low, high = to_bytes(found.volumes[:, 0], self.params.synthesis.clip)
        facts |= {"steps": found.steps, "reached": found.reached, "threshold": threshold}
        scores = tuple(found.scores.tolist())
        return Block(low=low, high=high, weights=weights, scores=scores, **facts), values

    def _scorer(self, labels: Tensor) -> Any:
        """Score of volumes, and the weighted log-probability of their class beside it."""
        weight = self.params.synthesis.label_weight

        def score(volumes: Tensor) -> tuple[Tensor, Tensor | None]:
            scores, logits = self.classifier.score(volumes, labels)
            if not weight or self.classes == 1:
                return scores, None
            return scores, -weight * functional.cross_entropy(logits, labels, reduction="none")

        return score

    def _digest(self) -> str:
        """Of the weights and the range of scores, which a synthesis depends on."""
        found = hashlib.sha256()
        for name, value in self.module.state_dict().items():
            found.update(name.encode())
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    def finish(self) -> None:
        """Synthesise with the final weights; call it after the loop, and after that the pool is complete."""
        self.grow(self.params.iterations)

    # --- validation ---------------------------------------------------------------------------------------------

    def validate(self) -> dict[str, float]:
        """Scores of held-out volumes, the newest samples and noise, and the samples' spread; with labels accuracy."""
        newest = self.pool.blocks[-1].iteration
        numbers = self.pool.numbers(range(newest, newest + 1))[:VALIDATION_BATCH]
        samples, made_for = self.pool.volumes(numbers), torch.from_numpy(self.pool.labels(numbers))
        device = self.volumes.labels.device
        facts = {
            "filled": float((samples > 0.5).float().mean()),
            "spread": float(samples.var(0).mean()),
        }
        generator = torch_generator(self.params.seed, "validation", device=device)
        noise = torch.randn(samples.shape, generator=generator, device=device)
        # Evenly spread, as they may lie class by class.
        some = torch.linspace(0, len(self.held_out) - 1, min(len(self.held_out), VALIDATION_BATCH)).round().long()
        held_out = self.held_out.volumes(some).float(), self.held_out.labels[some.to(device)]
        scored = {"real": held_out, "negative": (samples.to(device), made_for), "noise": (noise, made_for)}
        for name, (batch, labels) in scored.items():
            facts[f"{name}_score"] = float(self.classifier.score(batch, labels.to(device))[0].detach().mean())
        return facts | (VoxelTraining.validate(self) if self.params.supervised else {})

    def notices(self, validation: dict[str, float]) -> list[str]:
        """What readers of a validation's numbers must know: a score that noise has too gives syntheses no way to go."""
        real, noise = validation["real_score"], validation["noise_score"]
        if noise < real:
            return []
        return [
            f"noise scores {noise:.2g} and held-out shapes {real:.2g}: the pseudo-negatives of this training are noise"
        ]

    def collapse(self, validation: dict[str, float]) -> str | None:
        """A message if the classifier gives one answer, or if the samples are one shape, empty or full."""
        if self.params.supervised and (message := super().collapse(validation)):
            return message
        if self.pool.blocks[-1].iteration == 0:
            return None
        if validation["spread"] < SAME:
            return f"the newest samples are alike: the mean variance of a voxel is {validation['spread']:.1e}"
        if not EMPTY <= validation["filled"] <= FULL:
            return f"{validation['filled']:.1%} of the voxels of the newest samples are filled"
        return None

    def score(self, validation: dict[str, float]) -> float:
        """Supervised: accuracy."""
        if not self.params.supervised:
            raise NotImplementedError("an unsupervised training has no score to select by; use selection: last")
        return validation["accuracy"]


def make_task(
    volumes: VoxelData, held_out: VoxelData, params: VoxelTrainingParams, folder: Path
) -> VoxelTraining | IntrospectiveTraining:
    """The task that the parameters name; `folder` is for a pool of negatives."""
    if params.synthesises:
        return IntrospectiveTraining(volumes, held_out, params, folder)
    kinds = {"cross_entropy": VoxelTraining, "pgd": AdversarialTraining, "introspective": PenalisedTraining}
    return kinds[params.objective](volumes, held_out, params)
