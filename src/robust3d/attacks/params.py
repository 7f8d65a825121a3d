"""Parameters of the attacks: PGD for training (Geon3D section 4), AutoAttack over budgets for evaluation."""

from typing import Literal, Self

from pydantic import Field, model_validator

from robust3d.attacks.budgets import Budget
from robust3d.params import Params

Norm = Literal["Linf", "L2"]
AttackName = Literal["apgd-ce", "apgd-t", "fab-t", "square"]
STANDARD_ATTACKS: tuple[AttackName, ...] = ("apgd-ce", "apgd-t", "fab-t", "square")


def _check_range(norm: Norm, epsilon: float) -> None:
    """Refuse a radius that is given in steps of 1/255.

    Raises:
        ValueError: larger than the range of a pixel. L2 radii depend on the image's size; `evaluate` checks them.
    """
    if norm == "Linf" and epsilon > 1:
        raise ValueError(
            f"Linf {epsilon:g} is above 1, the whole range of pixels in [0, 1]; did you mean {epsilon:g}/255?"
        )


class PgdParams(Params):
    """Projected gradient ascent on the cross-entropy as MadryLab's `robustness` does it in training."""

    norm: Norm = "Linf"  # norm of the ball of perturbations
    epsilon: Budget = Field(Budget(0.05), gt=0)  # radius, pixels in [0, 1]; Geon3D section 4: Linf 0.05, L2 1.0
    step_size: Budget = Field(Budget(0.01), gt=0)  # length of one step, same unit; Geon3D section 4: 0.01 and 0.2
    steps: int = Field(7, ge=1)  # gradient steps; Geon3D section 4
    best_step: bool = True  # keep the iterate of largest loss, clean image included; Geon3D section 4
    random_start: bool = False  # start inside (Linf) or on (L2) the ball; the paper leaves the library's False

    @model_validator(mode="after")
    def _check_epsilon(self) -> Self:
        _check_range(self.norm, self.epsilon)
        return self


class AutoAttackParams(Params):
    """AutoAttack 'standard' (Croce and Hein 2020) over an ascending grid of budgets."""

    norm: Norm = "Linf"  # norm of the ball of perturbations
    epsilons: tuple[Budget, ...] = Field(
        (Budget("8/255"),), min_length=1
    )  # radii, ascending, above 0, pixels in [0, 1]
    attacks: tuple[AttackName, ...] = Field(STANDARD_ATTACKS, min_length=1)  # in this order, on survivors only
    iterations: int = Field(100, ge=1)  # of APGD and FAB; the standard's 100
    square_queries: int = Field(5000, ge=1)  # of Square; the standard's 5000
    target_classes: int = Field(9, ge=1)  # of APGD-T and FAB-T; at most classes - 1
    batch_size: int = Field(250, ge=1)  # images per forward pass; changes speed and memory only
    seed: int = Field(0, ge=0)  # of all random draws, each keyed also by attack, target and image
    nested: bool = True  # an adversarial image verified at one epsilon counts for every larger one
    # Adversarial images are also scaled down to every smaller epsilon: more than the standard attack does.
    shrink: bool = False
    # bf16: attacks use a bfloat16 copy, for GPUs; candidates are verified in fp32, and images whose candidate fails are
    # attacked again in fp32. Still an upper bound, but images that fp32 attacks would fool may be missed.
    search_precision: Literal["fp32", "bf16"] = "fp32"
    sanity_epsilon: float | None = Field(None, gt=0)  # accuracy here must be about 0; None: reaches mid-grey
    backend: Literal["own", "pyautoattack"] = "own"  # pyautoattack: the official package, once per epsilon

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        if self.epsilons[0] <= 0 or any(a >= b for a, b in zip(self.epsilons, self.epsilons[1:])):
            raise ValueError(
                f"epsilons must be above 0 and strictly ascending, got {', '.join(map(str, self.epsilons))}"
            )
        _check_range(self.norm, self.epsilons[-1])
        if len(set(self.attacks)) != len(self.attacks):
            raise ValueError(f"attacks must differ from each other, got {self.attacks}")
        if self.sanity_epsilon is not None and self.sanity_epsilon < self.epsilons[-1]:
            raise ValueError("sanity_epsilon must be at least the largest of epsilons")
        if self.backend == "pyautoattack" and (self.shrink or self.search_precision == "bf16"):
            raise ValueError("shrink and search_precision are of backend own; pyautoattack runs as published")
        return self
