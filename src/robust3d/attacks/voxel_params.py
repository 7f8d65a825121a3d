"""Parameters of the attacks on classifiers of voxels (3DWINN, section "Robustness to Adversarial Examples")."""

from typing import Literal

from pydantic import Field, PositiveInt

from robust3d.attacks.params import AutoAttackParams
from robust3d.params import Params

StepReading = Literal["each", "total", "fifth"]


class VoxelAttackParams(Params):
    """FGSM and iterative FGSM under several readings, AutoAttack, flips of voxels, and quarter turns.

    The unit is a voxel's 0 to 1.
    """

    epsilon: float = Field(0.005, gt=0)  # "perturbation size"; as stated
    steps: tuple[PositiveInt, ...] = (5, 10)  # of iterative FGSM; as stated
    # What the size means over several steps; not stated. each: every step has it; total: the steps share it; fifth:
    # every step has a fifth of it without a cap, so that five steps move as far as FGSM and ten twice as far, which
    # fits the printed growth of errors best.
    readings: tuple[StepReading, ...] = ("fifth", "each", "total")
    clips: tuple[bool, ...] = (True, False)  # whether values are clipped to [0, 1] after each step; not stated
    # Linf on voxels; none: left out.
    autoattack: AutoAttackParams | None = AutoAttackParams()
    autoattack_shapes: int | None = Field(None, ge=1)  # the first so many, evenly spread; none: all
    flips: tuple[PositiveInt, ...] = (5, 20, 80)  # budgets of voxels to flip, L0; none: left out
    flip_rounds: int = Field(10, ge=1)  # gradients taken per budget's largest; each round flips an equal share
    turns: bool = True  # quarter turns about the vertical
    up: Literal["y", "z"] = "y"  # the vertical axis
    batch_size: int = Field(128, ge=1)  # changes speed and memory only
