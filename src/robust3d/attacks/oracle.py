"""The official AutoAttack code (`pyautoattack`) as a backend of the cascade, for comparison."""

from collections.abc import Sequence

import torch
from torch import Tensor

from robust3d.attacks.apgd import Result
from robust3d.attacks.params import AttackName, AutoAttackParams
from robust3d.attacks.victim import Victim
from robust3d.errors import UserError


class OfficialBackend:
    """Runs one official attack at one epsilon per call; its budget-free FAB is run for every epsilon too."""

    any_epsilon: frozenset[str] = frozenset()
    mixes_epsilons: frozenset[str] = frozenset()

    def __init__(self, victim: Victim, params: AutoAttackParams, targets: int) -> None:
        try:
            import pyautoattack
        except ImportError as error:
            raise UserError(
                "attacks: backend 'pyautoattack' needs the package pyautoattack, which is not installed; "
                "install it or set the backend to 'own'"
            ) from error
        self.package = pyautoattack
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
        """See `Backend.attack`. Its random draws depend on the position in the batch, not on `image_ids`."""
        if name == "apgd-t" and logits.shape[1] < 4:
            return Result(images.clone(), torch.zeros_like(labels, dtype=torch.bool))
        official = self.package.AutoAttack(
            self._finite_logits,
            norm=self.params.norm,
            eps=float(epsilons[0]),
            seed=self.params.seed,
            version="custom",
            attacks=[name],
            device=images.device,
        )
        for part in (official.apgd, official.apgd_targeted, official.fab):
            part.n_restarts = 1
            part.n_iter = self.params.iterations
        official.apgd_targeted.n_target_classes = official.fab.n_target_classes = self.targets
        official.square.n_queries = self.params.square_queries
        adversarial, predictions = official.run_standard_evaluation(images.contiguous(), labels, batch_size=len(images))
        return Result(adversarial.detach(), predictions != labels)

    def _finite_logits(self, images: Tensor) -> Tensor:
        """Logits of the model itself.

        Raises:
            UserError: they are not finite: the official code would treat NaN as a class.
        """
        logits: Tensor = self.victim(images)
        if not bool(logits.isfinite().all()):
            raise UserError(
                "backend 'pyautoattack' met logits that are NaN or infinite and cannot count them; "
                "set the backend to 'own'"
            )
        return logits
