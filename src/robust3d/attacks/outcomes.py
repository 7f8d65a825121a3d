"""Per-image outcomes of an evaluation, from which every accuracy, curve and table is computed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from robust3d.attacks.budgets import Budget
from robust3d.attacks.checks import Flags
from robust3d.attacks.params import AttackName


@dataclass
class Cost:
    """Cost of one attack.

    Attributes:
        forwards: images evaluated, verification included.
        backwards: images differentiated.
        seconds: wall time.
    """

    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0


@dataclass
class SweepState:
    """Progress of a sweep; a sweep resumed from it gives the results of an uninterrupted one.

    Attributes:
        attack: the one that is running.
        tensors: robust (N,E) bool, radius (N,E) float64, broken_by (N,E) int64 indices into the attacks ("" and
            "clean" are -1 and -2), felt (N,) bool, and the pairs that this attack has not done yet: columns (P,) and
            rows (P,).
        cost: per attack so far.
        flags: so far.
    """

    attack: AttackName
    tensors: dict[str, Tensor]
    cost: dict[str, Cost]
    flags: Flags


@dataclass
class Outcomes:
    """Outcome of N images at E budgets.

    Attributes:
        norm: "Linf" or "L2".
        epsilons: (E,) radii, ascending, pixels in [0,1].
        image_ids: (N,) int64.
        labels: (N,) int64.
        predictions: (N,) int64, of the clean images.
        robust: (N,E) bool, no verified adversarial image inside the ball; False for clean errors.
        broken_by: (N,E) str, attack whose image was verified first; "clean" for clean errors, "" if robust.
        radius: (N,E) float64, norm of that image's perturbation: 0 for clean errors, NaN if robust.
        sanity_epsilon: a radius at which nothing can be robust.
        sanity_robust: (N,) bool at that radius; if many, the attacks fail on this model.
        flags: warning signs; if `flags.invalid` is not empty, the robust accuracies must not be reported.
        cost: per attack, also "clean" and "sanity".
        classes: columns of the logits.
        unfelt: images that count as robust although no start of APGD had a gradient there.
    """

    norm: str
    epsilons: tuple[float, ...]
    image_ids: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    robust: np.ndarray
    broken_by: np.ndarray
    radius: np.ndarray
    sanity_epsilon: float
    sanity_robust: np.ndarray
    flags: Flags
    cost: dict[str, Cost]
    classes: int
    unfelt: int = 0

    @property
    def clean_accuracy(self) -> float:
        """Share of clean images classified correctly."""
        return float((self.predictions == self.labels).mean())

    @property
    def robust_accuracy(self) -> np.ndarray:
        """Share of robust images per epsilon, (E,)."""
        return self.robust.mean(0)

    @property
    def sanity_accuracy(self) -> float:
        """Share of robust images at `sanity_epsilon`; should be about 0."""
        return float(self.sanity_robust.mean())

    def to_frame(self) -> pd.DataFrame:
        """One row per (image, epsilon), image-major.

        Columns image, label, prediction, correct, norm, epsilon, budget (its name), robust, broken_by, radius.
        """
        images, budgets = self.robust.shape
        frame = pd.DataFrame(
            {
                "image": np.repeat(self.image_ids, budgets),
                "label": np.repeat(self.labels, budgets),
                "prediction": np.repeat(self.predictions, budgets),
                "norm": self.norm,
                "epsilon": np.tile(np.asarray(self.epsilons, float), images),
                "budget": [str(Budget(epsilon)) for epsilon in self.epsilons] * images,
                "robust": self.robust.ravel(),
                "broken_by": self.broken_by.ravel(),
                "radius": self.radius.ravel(),
            }
        )
        frame.insert(3, "correct", frame["label"] == frame["prediction"])
        return frame
