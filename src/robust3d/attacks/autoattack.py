"""AutoAttack 'standard' over an ascending grid of budgets: APGD-CE, APGD-T, FAB-T, Square, on survivors only.

Only adversarial images that were verified in fp32 count: inside the ball and the box, and misclassified.
An image verified at a small epsilon also counts for all larger ones (`nested`).
The attacks run on faster copies of the model (`twins`), the verification on the model itself.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from robust3d.attacks.backends import Backend, OwnBackend
from robust3d.attacks.checks import Flags, inspect_model, judge_square, judge_validity, targets_for
from robust3d.attacks.norms import TOLERANCE, pull_inside, radius
from robust3d.attacks.oracle import OfficialBackend
from robust3d.attacks.outcomes import Cost, Outcomes, SweepState
from robust3d.attacks.params import AttackName, AutoAttackParams
from robust3d.attacks.refusals import check_input, check_labels_of, check_model, checked_labels
from robust3d.attacks.twins import coarse_twins, twins_of
from robust3d.attacks.victim import Victim, frozen, misclassified

Progress = Callable[[str, float, int, int], None]  # attack, epsilon (inf: all), images (at an epsilon) done and to do


def evaluate(
    model: nn.Module | Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    params: AutoAttackParams,
    image_ids: Sequence[int] | None = None,
    progress: Progress | None = None,
    start: SweepState | None = None,
    keep: Callable[[SweepState], None] | None = None,
) -> Outcomes:
    """Attack a model at every epsilon of `params` (Croce and Hein 2020; Geon3D section 4 "Evaluation").

    Args:
        model: logits (N,K) from pixels in [0,1], normalisation inside, in eval mode. K is at least 2.
        images: (N,C,H,W) fp32 in [0,1], of any height and width, on the model's device.
        labels: (N,) integers.
        params: norm, budgets, attacks, backend.
        image_ids: N different integers that seed the random draws, so that these depend neither on the batch size nor
            on the other images; None: 0 … N-1.
        progress: called after every batch.
        start: state of an interrupted sweep with the same arguments, to resume from.
        keep: called after every batch with the state.

    Returns:
        Per-image outcomes, flags and costs. If `flags.invalid` is not empty, the accuracies are not valid.

    Raises:
        ValueError: If images are not fp32 in [0,1], shapes disagree, a label is no class, the model is in training
            mode, its logits are not finite on a clean image or depend on the batch, or no gradient reaches the images.
    """
    ids = list(range(len(images))) if image_ids is None else [int(i) for i in image_ids]
    check_input(images, ids, params)
    images, labels = images.detach(), checked_labels(labels, images)
    with frozen(model):
        check_model(model, images)
        cascade = _Cascade(Victim(model), images, labels, ids, params, progress, keep)
        first = 0
        if start is not None:
            cascade.restore(start)
            first = params.attacks.index(start.attack)
        for name in params.attacks[first:]:
            cascade.sweep(name)
        return cascade.outcomes()


class _Cascade:
    """State of the images during the attacks."""

    def __init__(
        self,
        victim: Victim,
        images: Tensor,
        labels: Tensor,
        ids: Sequence[int],
        params: AutoAttackParams,
        progress: Progress | None,
        keep: Callable[[SweepState], None] | None,
    ) -> None:
        self.keep = keep
        self.pending: tuple[Tensor, Tensor] | None = None  # columns and rows that an interrupted attack had not done
        self.victim, self.images, self.labels, self.ids = victim, images, labels, ids
        self.params, self.progress = params, progress
        self.cost: dict[str, Cost] = {}
        self.epsilons = torch.tensor(params.epsilons, dtype=torch.float64, device=images.device)
        with self._counted("clean"):
            first = slice(0, params.batch_size)
            self.flags: Flags = inspect_model(victim, images[first], labels[first])
            with torch.no_grad():
                self.logits = torch.cat([victim(batch) for batch in images.split(params.batch_size)])
        check_labels_of(self.logits, labels, ids)
        targets, self.flags.notices[:] = targets_for(self.logits.shape[1], params)
        if params.backend == "own":
            self._take_twins(images[first])
        kind: type[OwnBackend] | type[OfficialBackend] = OwnBackend if params.backend == "own" else OfficialBackend
        self.backend: Backend = kind(victim, params, targets)
        self.correct = self.logits.argmax(1) == labels
        self.flags.at_chance = float(self.correct.double().mean()) <= 1 / self.logits.shape[1]
        self.felt = torch.zeros_like(self.correct)  # some start of APGD had a gradient that is not zero
        shape = len(images), len(params.epsilons)
        self.robust = self.correct[:, None].repeat(1, shape[1])
        self.radius = torch.full(shape, torch.nan, dtype=torch.float64, device=images.device)
        self.radius[~self.correct] = 0
        self.broken_by = np.full(shape, "", dtype=object)
        self.broken_by[~self.correct.cpu().numpy()] = "clean"

    def _take_twins(self, images: Tensor) -> None:
        """Run the attacks on copies of the model, if there are some that agree with it."""
        model, notices = self.victim.model, self.flags.notices
        steady = not (self.flags.randomised or self.flags.gradient_in_forward)
        twins = self.victim.twins = twins_of(model, images, notices) if steady else None
        if self.params.search_precision == "bf16":
            coarse = coarse_twins(model, twins, images) if steady and isinstance(model, nn.Module) else None
            self.victim.twins = coarse or twins
            if coarse is None:
                notices.append("a bfloat16 copy of the model has other outputs, so the attacks searched in fp32")

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        self.cost.setdefault(name, Cost())
        self._mark = time.perf_counter(), self.victim.forwards, self.victim.backwards
        yield
        self._count(name)

    def _count(self, name: str) -> None:
        """Add the costs since the last call."""
        (seconds, forwards, backwards), cost = self._mark, self.cost[name]
        self._mark = time.perf_counter(), self.victim.forwards, self.victim.backwards
        cost.seconds += self._mark[0] - seconds
        cost.forwards += self._mark[1] - forwards
        cost.backwards += self._mark[2] - backwards
        self.flags.nonfinite_gradients = int(self.victim.nonfinite_gradients)

    def sweep(self, name: AttackName) -> None:
        """Run one attack at all epsilons, ascending, on the images that are still robust; record its successes.

        A batch holds pairs of an image and an epsilon, so that few images also fill it. A pair is skipped if the image
        was fooled at a smaller epsilon before.
        """
        at_all = name in self.backend.any_epsilon  # one run serves every epsilon: an image has one pair
        fresh = self._fresh(at_all)
        columns, rows = self.pending or fresh
        self.pending, total = None, len(fresh[0])
        with self._counted(name):
            while len(rows):
                size = self._batch_length(name, columns)
                batch, at = rows[:size], columns[:size]
                epsilons = torch.full_like(self.epsilons[at], math.inf) if at_all else self.epsilons[at]
                distance = self._attack(name, batch, epsilons)
                for column in at.unique().tolist():
                    here = at == column
                    covers = self._covered_by(column, at_all)
                    self._book(name, batch[here], distance[here], covers)
                columns, rows = columns[size:], rows[size:]
                if not at_all:
                    still_robust = self.robust[rows, columns]
                    columns, rows = columns[still_robust], rows[still_robust]
                if self.progress:
                    self.progress(name, float(epsilons[-1]), total - len(rows), total)
                if self.keep:
                    self._count(name)
                    self.keep(self._state(name, columns, rows))

    def _fresh(self, at_all: bool) -> tuple[Tensor, Tensor]:
        """Column of the epsilon and row of the image of every pair at the start of an attack."""
        if at_all:
            rows = self.robust.any(1).nonzero().squeeze(1)
            return torch.zeros_like(rows), rows
        columns, rows = self.robust.T.nonzero().unbind(1)
        return columns, rows

    def _covered_by(self, column: int, at_all: bool) -> slice:
        """Columns of the epsilons for which a success at one epsilon may count, if its radius is small enough."""
        first = 0 if at_all or self.params.shrink else column
        return slice(first, None if at_all or self.params.nested else column + 1)

    def _state(self, name: AttackName, columns: Tensor, rows: Tensor) -> SweepState:
        """A copy of everything that `restore` needs."""
        codes = {"": -1, "clean": -2} | {attack: place for place, attack in enumerate(self.params.attacks)}
        broken_by = torch.from_numpy(np.vectorize(codes.__getitem__, otypes=[np.int64])(self.broken_by))
        tensors = {"robust": self.robust, "radius": self.radius, "felt": self.felt, "columns": columns, "rows": rows}
        copies = {key: tensor.clone() for key, tensor in tensors.items()}
        cost = {key: replace(value) for key, value in self.cost.items()}
        return SweepState(name, copies | {"broken_by": broken_by}, cost, copy.deepcopy(self.flags))

    def restore(self, state: SweepState) -> None:
        """Restore the state of an interrupted sweep with the same arguments."""
        tensors = {name: tensor.to(self.images.device) for name, tensor in state.tensors.items()}
        self.robust, self.radius, self.felt = tensors["robust"], tensors["radius"], tensors["felt"]
        names = {-1: "", -2: "clean"} | dict(enumerate(self.params.attacks))
        codes = state.tensors["broken_by"].cpu().numpy()
        self.broken_by = np.vectorize(names.__getitem__, otypes=[object])(codes)
        self.pending = tensors["columns"], tensors["rows"]
        self.cost = {name: replace(cost) for name, cost in state.cost.items()}
        self.flags = copy.deepcopy(state.flags)
        self.victim.nonfinite_gradients = state.flags.nonfinite_gradients

    def _batch_length(self, name: AttackName, columns: Tensor) -> int:
        """How many of the pairs, ordered by epsilon, the backend can attack at once."""
        some = columns[: self.params.batch_size]
        return len(some) if name in self.backend.mixes_epsilons else int((some == some[0]).sum())

    def _book(self, name: AttackName, rows: Tensor, distance: Tensor, columns: slice) -> None:
        """Record adversarial images of verified radii `distance` (n,), inf where none, at the epsilons they cover."""
        covered = torch.zeros_like(self.robust[rows])
        covered[:, columns] = distance[:, None] <= self.epsilons[columns] * (1 + TOLERANCE)
        covered &= self.robust[rows]
        self.robust[rows] &= ~covered
        self.radius[rows] = torch.where(covered, distance[:, None], self.radius[rows])
        for image, column in covered.nonzero().tolist():
            self.broken_by[int(rows[image]), column] = name

    def _attacked(self, name: AttackName, rows: Tensor, epsilon: float) -> Iterator[tuple[Tensor, Tensor]]:
        """Attack images in batches at one epsilon; yields rows and their verified radii (n,)."""
        done = 0
        for batch in rows.split(self.params.batch_size) if len(rows) else ():
            yield batch, self._attack(name, batch, torch.full_like(self.radius[batch, 0], epsilon))
            done += len(batch)
            if self.progress:
                self.progress(name, epsilon, done, len(rows))

    def _attack(self, name: AttackName, rows: Tensor, epsilons: Tensor) -> Tensor:
        """Attack images at float64 radii (n,); returns the radii (n,) of verified images, inf where there is none."""
        # FAB may stop at an image's smallest open budget: a smaller radius would change no outcome.
        smallest = torch.where(self.robust[rows], self.epsilons, torch.inf).amin(1).float()
        ids = [self.ids[i] for i in rows.tolist()]
        result = self.backend.attack(
            name, self.images[rows], self.labels[rows], self.logits[rows], ids, epsilons, smallest
        )
        if result.zero_gradients:
            self.flags.zero_gradients[name] = self.flags.zero_gradients.get(name, 0) + result.zero_gradients
        if result.felt is not None:
            self.felt[rows[result.felt]] = True
        distance = torch.full_like(epsilons, torch.inf)
        fooled = result.fooled.nonzero().squeeze(1)
        if len(fooled):
            distance[fooled] = self._verify(rows[fooled], result.adversarial[fooled], epsilons[fooled])
            if self.params.shrink:
                distance[fooled] = self._shrunk(rows[fooled], result.adversarial[fooled], distance[fooled])
        refuted = fooled[distance[fooled] == torch.inf]
        if len(refuted) and self.victim.twins is not None:  # rounding stopped the attack too early: repeat it
            with self.victim.itself():
                distance[refuted] = self._attack(name, rows[refuted], epsilons[refuted])
        return distance

    def _verify(self, rows: Tensor, candidates: Tensor, epsilons: Tensor) -> Tensor:
        """Radius (n,) float64 of candidates for images `rows`; inf where it is not adversarial at its epsilon."""
        clean = self.images[rows]
        bounded = epsilons < torch.inf
        candidates[bounded] = pull_inside(candidates[bounded], clean[bounded], epsilons[bounded], self.params.norm)
        with torch.no_grad(), self.victim.itself():
            logits = self.victim(candidates)
        wrong = misclassified(logits, self.labels[rows])
        distance = radius(candidates, clean, self.params.norm)
        in_box = ((candidates >= 0) & (candidates <= 1)).flatten(1).all(1)
        counts = wrong & in_box & (distance <= epsilons * (1 + TOLERANCE))
        self.flags.nonfinite_logits += int((counts & ~logits.isfinite().all(1)).sum())
        return torch.where(counts, distance, torch.inf)

    def _shrunk(self, rows: Tensor, adversarial: Tensor, distance: Tensor) -> Tensor:
        """Radii (n,) after scaling verified perturbations down to every smaller epsilon still open."""
        distance = distance.clone()
        for epsilon in self.epsilons.flip(0):
            column = int((self.epsilons == epsilon).nonzero())
            nearer = ((distance < torch.inf) & (distance > epsilon) & self.robust[rows, column]).nonzero().squeeze(1)
            if not len(nearer):
                continue
            clean = self.images[rows[nearer]]
            share = (epsilon / distance[nearer]).float()[:, None, None, None]
            candidates = clean + share * (adversarial[nearer] - clean)
            found = self._verify(rows[nearer], candidates, epsilon.expand(len(nearer)))
            adversarial[nearer] = torch.where((found < torch.inf)[:, None, None, None], candidates, adversarial[nearer])
            distance[nearer] = torch.minimum(distance[nearer], found)
        return distance

    def _sanity(self) -> tuple[float, Tensor]:
        """A radius whose ball contains mid-grey, and which images (N,) are still robust there against APGD."""
        reach = 0.5 if self.params.norm == "Linf" else 0.5 * math.sqrt(self.images[0].numel())
        epsilon = self.params.sanity_epsilon or max(reach, self.params.epsilons[-1])
        robust = self.robust.all(1)
        names: tuple[AttackName, ...] = ("apgd-ce", "apgd-t")
        with self._counted("sanity"):
            for name in names:
                for rows, distance in self._attacked(name, robust.nonzero().squeeze(1), epsilon):
                    robust[rows] = distance == torch.inf
        return epsilon, robust

    def _unfelt(self) -> int:
        """Number of images that count as robust although APGD never had a gradient other than zero."""
        if self.params.backend != "own" or not {"apgd-ce", "apgd-t"} & set(self.params.attacks):
            return 0
        return int((self.robust.any(1) & ~self.felt).sum())

    def outcomes(self) -> Outcomes:
        """All results, on the CPU."""
        unfelt = self._unfelt()
        epsilon, sanity_robust = self._sanity()
        judge_validity(self.flags, epsilon, float(sanity_robust.double().mean()), unfelt)
        if len(self.params.attacks) > 1:
            judge_square(self.flags, self.broken_by == "square")
        return Outcomes(
            norm=self.params.norm,
            epsilons=self.params.epsilons,
            image_ids=np.asarray(self.ids, dtype=np.int64),
            labels=self.labels.cpu().numpy(),
            predictions=self.logits.argmax(1).cpu().numpy(),
            robust=self.robust.cpu().numpy(),
            broken_by=self.broken_by,
            radius=self.radius.cpu().numpy(),
            sanity_epsilon=epsilon,
            sanity_robust=sanity_robust.cpu().numpy(),
            flags=self.flags,
            cost=self.cost,
            classes=self.logits.shape[1],
            unfelt=unfelt,
        )
