"""Warning signs that robust accuracies may mislead: AutoAttack's own checks (its flags_doc) as data."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robust3d.attacks.params import AttackName, AutoAttackParams
from robust3d.attacks.refusals import REPEATED, close

SQUARE_GAIN = 0.002  # share of images that Square may fool beyond the white-box attacks without a warning
SANITY_SHARE = 0.01  # largest share of images that may seem robust at a huge budget
_DIFFERENTIATORS = {
    torch.autograd.grad.__code__,
    torch.autograd.backward.__code__,
    torch.Tensor.backward.__code__,
}


@dataclass
class Flags:
    """Warnings and notices that belong to the numbers of an evaluation.

    Attributes:
        randomised: repeated predictions of the first batch differ.
        probabilities: the outputs look like probabilities, not logits.
        gradient_in_forward: the forward pass computes gradients: the defence adapts to its input.
        zero_gradients: per APGD attack, starts (image, epsilon, target) whose input gradient was all zero.
        square_gain: largest share of all images, over epsilons, that only Square fooled.
        square_suspicious: that share is above 0.2 percentage points, so the white-box attacks were too weak.
        nonfinite_logits: adversarial images that count as fooled because a logit is NaN or infinite.
        nonfinite_gradients: entries of input gradients that were NaN or infinite and counted as zero.
        at_chance: clean accuracy is not above chance, so something is wrong with the model or the images.
        notices: sentences on what was adapted, e.g. to the number of classes.
        invalid: reasons why the robust accuracies must not be reported; empty: they may.
    """

    randomised: bool = False
    probabilities: bool = False
    gradient_in_forward: bool = False
    zero_gradients: dict[str, int] = field(default_factory=dict)
    square_gain: float = 0.0
    square_suspicious: bool = False
    nonfinite_logits: int = 0
    nonfinite_gradients: int = 0
    at_chance: bool = False
    notices: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)


def inspect_model(model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Flags:
    """Flags that need no attack, from one batch of images (N,C,H,W)."""
    with torch.no_grad():
        outputs = torch.stack([model(images) for _ in range(5)])
    right = (outputs.argmax(2) == labels).sum(1)
    directions = outputs / (outputs.norm(dim=2, keepdim=True) + 1e-10)
    spread = max(float((a - b).norm(dim=1).max()) for a in directions for b in directions)
    first, *others = outputs
    with _watch_differentiation() as seen, torch.enable_grad():
        model(images)
    return Flags(
        randomised=bool((right != right[0]).any())
        or spread > 1e-4
        or not all(close(other, first, REPEATED) for other in others),
        probabilities=bool(first.max() < 1 + 1e-5 and first.min() > -1e-5 and ((first.sum(1) - 1).abs() < 1e-5).all()),
        gradient_in_forward=bool(seen),
    )


@contextmanager
def _watch_differentiation() -> Iterator[list[str]]:
    seen: list[str] = []

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code in _DIFFERENTIATORS:
            seen.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def targets_for(classes: int, params: AutoAttackParams) -> tuple[int, list[str]]:
    """Number of target classes that `classes` allow, and notices about changes to the standard attack.

    Raises:
        ValueError: If there is only one class.
    """
    if classes < 2:
        raise ValueError(f"a classifier needs at least 2 outputs, this model has {classes}")
    wanted: set[AttackName] = {"apgd-t", "fab-t"}
    notices = []
    targets = min(params.target_classes, classes - 1)
    if wanted & set(params.attacks) and targets < params.target_classes:
        notices.append(f"{classes} classes allow {targets} target classes instead of {params.target_classes}")
    if "apgd-t" in params.attacks and classes < 4:
        what = "was left out" if params.backend == "pyautoattack" else "maximised the plain margin"
        notices.append(f"the targeted DLR loss needs 4 classes, this model has {classes}: apgd-t {what}")
    return targets, notices


def judge_square(flags: Flags, broken_by_square: np.ndarray) -> None:
    """Set the two flags on Square from (N,E) bool: only Square fooled this image at this epsilon."""
    flags.square_gain = float(broken_by_square.mean(0).max())
    flags.square_suspicious = flags.square_gain > SQUARE_GAIN


def judge_validity(flags: Flags, epsilon: float, sanity_accuracy: float, unfelt: int) -> None:
    """Set the reasons for which robust accuracies are not valid.

    Args:
        flags: of the evaluation.
        epsilon: the huge budget.
        sanity_accuracy: share of images that are robust there.
        unfelt: images that count as robust although every start of APGD had a zero gradient.
    """
    if sanity_accuracy > SANITY_SHARE:
        flags.invalid.append(
            f"{sanity_accuracy:.1%} of the images are robust at the huge budget {epsilon:.4g}, where "
            "nothing can: the attacks fail on this model, or it is constant"
        )
    if unfelt:
        flags.invalid.append(
            f"{unfelt} images count as robust, but their gradients are zero, so the attacks had no direction"
        )
    if flags.randomised:
        flags.invalid.append(
            "the model gives different outputs for the same images (noise or active dropout); call eval() on all of it"
        )
