"""AutoAttack over images that are not all in memory: one part after the other, and the outcomes of all.

Random draws are keyed by image, so the parts change no outcome but by rounding.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from robust3d.attacks.autoattack import Progress, evaluate
from robust3d.attacks.checks import Flags, judge_square, judge_validity
from robust3d.attacks.outcomes import Cost, Outcomes
from robust3d.attacks.params import AutoAttackParams

Read = Callable[[int, int], Tensor]  # images (n, C, H, W) fp32 in [0, 1], on the model's device, of places a … b - 1


def evaluate_in_parts(
    model: nn.Module,
    read: Read,
    count: int,
    labels: Tensor | None,
    params: AutoAttackParams,
    part: int,
    progress: Callable[[int], Progress] | None = None,
) -> Outcomes:
    """Attack `count` images, `part` of them at a time; memory holds one part.

    Args:
        model: as for `evaluate`.
        read: gives the images.
        count: N, 1 or more.
        labels: (N,); None: the model's own answers to the clean images.
        params: of the attacks.
        part: images at a time.
        progress: from the first place of a part to what is called after every batch of it.

    Raises:
        ValueError: as `evaluate`.
    """
    found = []
    for first in range(0, count, part):
        images = read(first, min(first + part, count))
        known = _answers(model, images, params.batch_size) if labels is None else labels[first : first + part]
        ids = range(first, first + len(images))
        report = progress(first) if progress else None
        found.append(evaluate(model, images, known.to(images.device), params, image_ids=ids, progress=report))
    return joined(found, params)


def _answers(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(batch).argmax(1) for batch in images.split(batch_size)])


def joined(parts: Sequence[Outcomes], params: AutoAttackParams) -> Outcomes:
    """The outcomes of all parts; what is judged by shares of the images is judged over all of them."""
    first = parts[0]

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    together = Outcomes(
        norm=first.norm,
        epsilons=first.epsilons,
        image_ids=all_of("image_ids"),
        labels=all_of("labels"),
        predictions=all_of("predictions"),
        robust=all_of("robust"),
        broken_by=all_of("broken_by"),
        radius=all_of("radius"),
        sanity_epsilon=first.sanity_epsilon,
        sanity_robust=all_of("sanity_robust"),
        flags=_flags([part.flags for part in parts]),
        cost=_cost([part.cost for part in parts]),
        classes=first.classes,
        unfelt=sum(part.unfelt for part in parts),
    )
    together.flags.at_chance = together.clean_accuracy <= 1 / together.classes
    judge_validity(together.flags, together.sanity_epsilon, together.sanity_accuracy, together.unfelt)
    if len(params.attacks) > 1:
        judge_square(together.flags, together.broken_by == "square")
    return together


def _flags(parts: Sequence[Flags]) -> Flags:
    """What needs no judgement."""
    attacks = dict.fromkeys(name for flags in parts for name in flags.zero_gradients)
    return Flags(
        randomised=any(flags.randomised for flags in parts),
        probabilities=any(flags.probabilities for flags in parts),
        gradient_in_forward=any(flags.gradient_in_forward for flags in parts),
        zero_gradients={name: sum(flags.zero_gradients.get(name, 0) for flags in parts) for name in attacks},
        nonfinite_logits=sum(flags.nonfinite_logits for flags in parts),
        nonfinite_gradients=sum(flags.nonfinite_gradients for flags in parts),
        notices=list(dict.fromkeys(notice for flags in parts for notice in flags.notices)),
    )


def _cost(parts: Sequence[dict[str, Cost]]) -> dict[str, Cost]:
    total: dict[str, Cost] = {}
    for part in parts:
        for name, cost in part.items():
            one = total.setdefault(name, Cost())
            one.forwards += cost.forwards
            one.backwards += cost.backwards
            one.seconds += cost.seconds
    return total
