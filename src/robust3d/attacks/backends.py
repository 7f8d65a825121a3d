"""The project's own attacks as a backend of the cascade: targets, random streams, (image, target) batches."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from robust3d.attacks import noise
from robust3d.attacks.apgd import Result, apgd, cross_entropy, targeted_dlr, targeted_margin
from robust3d.attacks.fab import fab
from robust3d.attacks.params import AttackName, AutoAttackParams
from robust3d.attacks.square import KeyedDraws, square
from robust3d.attacks.victim import Victim


class Backend(Protocol):
    """A source of adversarial candidates; the cascade verifies each of them."""

    any_epsilon: frozenset[str]  # attacks of which one run gives candidates for all epsilons
    mixes_epsilons: frozenset[str]  # attacks whose calls take images of different budgets

    def attack(
        self,
        name: AttackName,
        images: Tensor,
        labels: Tensor,
        logits: Tensor,
        image_ids: Sequence[int],
        epsilons: Tensor,
        stop_radius: Tensor,
    ) -> Result:
        """Candidates for correctly classified images (N,C,H,W).

        Args:
            name: which attack.
            images: clean images.
            labels: (N,) int64.
            logits: (N,K) of the clean images.
            image_ids: seeds of the random draws.
            epsilons: (N,) radii of the balls, inf for an attack of `any_epsilon`.
            stop_radius: (N,) radius below which no smaller one is searched, for an attack of `any_epsilon`.
        """
        ...


class OwnBackend:
    """Auto-PGD, FAB and Square of this package.

    The random start of an image does not depend on epsilon: with the same draws, an image that is fooled without
    nesting is also fooled with it.
    """

    any_epsilon = frozenset({"fab-t"})
    # Not apgd-ce: it fools most images, and a fooled image is not attacked again at larger epsilons.
    mixes_epsilons = frozenset({"apgd-t", "square"})

    def __init__(self, victim: Victim, params: AutoAttackParams, targets: int) -> None:
        self.victim = victim
        self.params = params
        self.targets = targets

    def attack(
        self,
        name: AttackName,
        images: Tensor,
        labels: Tensor,
        logits: Tensor,
        image_ids: Sequence[int],
        epsilons: Tensor,
        stop_radius: Tensor,
    ) -> Result:
        """See `Backend.attack`."""
        if name == "apgd-ce":
            start = self._start(name, 0, images, image_ids)
            norm, iterations = self.params.norm, self.params.iterations
            return apgd(self.victim, images, labels, epsilons, norm, start, cross_entropy, iterations=iterations)
        if name == "apgd-t":
            return self._apgd_targeted(images, labels, logits, image_ids, epsilons)
        if name == "fab-t":
            return self._fab(images, labels, logits, stop_radius)
        return self._square(images, labels, image_ids, epsilons)

    def _start(self, attack: str, target: int, images: Tensor, image_ids: Sequence[int]) -> Tensor:
        keys = noise.keys(self.params.seed, attack, target, image_ids, images.device)
        count = images[0].numel()
        if self.params.norm == "Linf":
            return (2 * noise.uniform(keys, 0, count) - 1).reshape(images.shape)
        return noise.normal(keys, 0, count).reshape(images.shape)

    def _ranked(self, logits: Tensor) -> Tensor:
        """Target classes (N,targets): by clean logits, the highest class other than the label first."""
        return logits.sort(dim=1).indices.flip(1)[:, 1 : 1 + self.targets]

    def _apgd_targeted(
        self, images: Tensor, labels: Tensor, logits: Tensor, image_ids: Sequence[int], epsilons: Tensor
    ) -> Result:
        """Targets one after the other; once images are few, several targets share a batch.

        This does not change which images are fooled, since the start depends on (image, target) only.
        """
        loss = targeted_dlr if logits.shape[1] >= 4 else targeted_margin
        ranked = self._ranked(logits)
        felt = torch.zeros_like(labels, dtype=torch.bool)
        result = Result(images.clone(), torch.zeros_like(felt), felt=felt)
        done = 0
        while done < self.targets and not bool(result.fooled.all()):
            live = (~result.fooled).nonzero().squeeze(1)
            together = 1 if done == 0 else max(1, self.params.batch_size // len(live))
            ranks = range(done, min(done + together, self.targets))
            ids = [image_ids[i] for i in live.tolist()]
            start = torch.cat([self._start("apgd-t", rank + 1, images[live], ids) for rank in ranks])
            rows = live.repeat(len(ranks))
            wave = apgd(
                self.victim,
                images[rows],
                labels[rows],
                epsilons[rows],
                self.params.norm,
                start,
                loss,
                ranked[live][:, list(ranks)].T.reshape(-1),
                self.params.iterations,
            )
            result.adversarial[rows[wave.fooled]] = wave.adversarial[wave.fooled]
            result.fooled[rows[wave.fooled]] = True
            result.zero_gradients += wave.zero_gradients
            if wave.felt is not None:
                felt[rows[wave.felt]] = True
            done += len(ranks)
        return result

    def _fab(self, images: Tensor, labels: Tensor, logits: Tensor, stop_radius: Tensor) -> Result:
        ranked = self._ranked(logits)
        best = images.clone()
        radius = torch.full_like(stop_radius, torch.inf)
        done = 0
        while done < self.targets and bool((radius > stop_radius).any()):
            live = (radius > stop_radius).nonzero().squeeze(1)
            together = max(1, self.params.batch_size // len(live))
            for_rank = ranked[live][:, done : done + together]
            rows = live.repeat(for_rank.shape[1])
            found, distance = fab(
                self.victim,
                images[rows],
                labels[rows],
                for_rank.T.reshape(-1),
                self.params.norm,
                self.params.iterations,
                stop_radius[rows],
            )
            nearest, which = distance.reshape(for_rank.shape[1], len(live)).min(0)
            better = nearest < radius[live]
            pick = (which * len(live) + torch.arange(len(live), device=which.device))[better]
            best[live[better]], radius[live[better]] = found[pick], nearest[better]
            done += for_rank.shape[1]
        return Result(best, radius < torch.inf)

    def _square(self, images: Tensor, labels: Tensor, image_ids: Sequence[int], epsilons: Tensor) -> Result:
        keys = noise.keys(self.params.seed, "square", 0, image_ids, images.device)
        norm, queries = self.params.norm, self.params.square_queries
        found, margins = square(self.victim, images, labels, epsilons, norm, KeyedDraws(keys), queries)
        return Result(found, margins <= 0)
