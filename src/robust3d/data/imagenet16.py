"""Sixteen classes made of ImageNet's 1,000, and the pictures whose shape and texture say different ones.

Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards texture", and the authors' code: 207 of the 1,000 classes
belong to one of sixteen; a network's answer is the one whose members have the largest mean probability.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from robust3d.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

IMAGENET_CLASSES = 1000
_MEMBERS = {
    "airplane": "404",
    "bear": "294-297",
    "bicycle": "444 671",
    "bird": "8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145",
    "boat": "472 554 625 814 914",
    "bottle": "440 720 737 898 899 901 907",
    "car": "436 511 817",
    "cat": "281-286",
    "chair": "423 559 765 857",
    "clock": "409 530 892",
    "dog": "152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268",
    "elephant": "385 386",
    "keyboard": "508 878",
    "knife": "499",
    "oven": "766",
    "truck": "555 569 656 675 717 734 864 867",
}
CLASSES = tuple(_MEMBERS)  # sorted
_NAME = re.compile(r"([a-z]+)\d+-([a-z]+)\d+", re.ASCII)  # of a cue-conflict picture: its shape's, its texture's


def _numbers(text: str) -> Iterator[int]:
    for part in text.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


MEMBERS = {name: tuple(_numbers(text)) for name, text in _MEMBERS.items()}
"""The indices among ImageNet's classes of each of the sixteen."""


class Cues(NamedTuple):
    """What a cue-conflict picture shows."""

    shape: str
    texture: str

    @property
    def is_conflict(self) -> bool:
        """False for the 80 of 1,280 pictures whose shape and texture agree; they count in no share."""
        return self.shape != self.texture


def cues_of(file: str | Path) -> Cues:
    """Shape and texture of a picture called like `cat7-bear1.png`.

    Raises:
        UserError: it is called otherwise.
    """
    found = _NAME.fullmatch(Path(file).stem)
    if not found or not set(found.groups()) <= set(CLASSES):
        raise UserError(
            f"{file}: a cue-conflict picture is named like cat7-bear1.png, with two of {', '.join(CLASSES)}"
        )
    return Cues(*found.groups())


def probabilities(logits: "Tensor", aggregation: Literal["mean", "sum", "max"] = "mean") -> "Tensor":
    """Mean probability over the members of each of the sixteen (N, 16), from ImageNet's logits (N, 1000).

    Args:
        logits: of ImageNet's classes.
        aggregation: of the members' probabilities. The authors recommend the mean; others favour large classes.

    Raises:
        UserError: logits of other classes.
    """
    import torch  # planning imports this module and needs no torch

    if logits.shape[1] != IMAGENET_CLASSES:
        raise UserError(f"the sixteen classes are made of ImageNet's 1,000; this classifier has {logits.shape[1]}")
    shares = logits.double().softmax(1)
    over: Callable[[Tensor, int], Tensor] = getattr(torch, "amax" if aggregation == "max" else aggregation)
    return torch.stack([over(shares[:, list(members)], 1) for members in MEMBERS.values()], 1)


def decisions(logits: "Tensor") -> list[str]:
    """The answer of each image, the first in `CLASSES` where several are equal."""
    return [CLASSES[place] for place in probabilities(logits).argmax(1).tolist()]
