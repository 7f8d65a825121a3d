"""Images whose shape and texture speak for two classes, and which of the two a classifier decides for.

Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards texture"; Shape bias section 3.1.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from robust3d.params import Params as Base

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from robust3d.data.imagenet16 import Cues
    from robust3d.data.images import ImageData

SHAPE, TEXTURE, NEITHER = "shape", "texture", "neither"  # what a decision goes with
SAME_CUE = "same cue"  # both cues name one class, so the decision says nothing
_SHOWN = 5  # files in a message
DECISIONS = (SHAPE, TEXTURE, NEITHER)
Aggregation = Literal["mean", "sum", "max"]


class AnswerParams(Base):
    """What counts as an answer of a classifier."""

    answers: Literal["class", "imagenet16"] = "class"  # imagenet16: Geirhos' sixteen, of classifiers of ImageNet
    # imagenet16: over the probabilities of the members of each of the sixteen. The authors recommend the mean.
    aggregation: Aggregation = "mean"
    batch_size: int = Field(100, ge=1)  # images per forward pass; changes speed, memory and rounding only

    @model_validator(mode="after")
    def _check(self) -> "AnswerParams":
        if self.answers == "class" and self.aggregation != "mean":
            raise ValueError("aggregation: belongs to answers: imagenet16")
        return self


class Answers(NamedTuple):
    """The answers that a classifier may give."""

    classes: tuple[str, ...]
    decide: Callable[["Tensor"], "Tensor"]  # logits (N, K) to answers (N,), numbers of `classes`


def answers_of(params: AnswerParams, classes: tuple[str, ...]) -> Answers:
    """The answers of a classifier with some classes: those, or the sixteen that are made of ImageNet's."""
    if params.answers == "class":
        return Answers(classes, lambda logits: logits.argmax(1))
    from robust3d.data.imagenet16 import CLASSES, probabilities

    return Answers(CLASSES, lambda logits: probabilities(logits, params.aggregation).argmax(1))


def cues(images: "ImageData", classes: tuple[str, ...], asks: str) -> tuple["np.ndarray", "np.ndarray"]:
    """The classes (N,) that the shape and the texture of each image speak for.

    Args:
        images: their table has the columns `shape` and `texture`; without them, pictures named as the published ones
            say their cues by their names, if the answers are the sixteen classes.
        classes: the names that may stand there.
        asks: the probe's name, for messages.

    Raises:
        UserError: the table has no such columns, an unknown class in them, or no image with two different cues.
    """
    import numpy as np

    from robust3d.data.imagenet16 import CLASSES
    from robust3d.errors import UserError

    rows = images.rows
    if classes == CLASSES and "shape" not in rows and "instance" in rows:
        named = _named(rows["instance"].tolist())
        rows = rows.assign(shape=[cue.shape for cue in named], texture=[cue.texture for cue in named])
    numbers = {name: number for number, name in enumerate(classes)}
    found = []
    for column in (SHAPE, TEXTURE):
        if column not in rows:
            raise UserError(
                f"set: its images do not say which class their {column} speaks for (no column {column!r} in its "
                f"table); {asks} needs a set of cue-conflict images, named by `sets: {{set: …}}` of the probe"
            )
        values = rows[column].tolist()
        if unknown := [value for value in values if value not in numbers]:
            shown = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
            raise UserError(f"set: the {column} of an image is {unknown[0]!r}, which is not among {shown}")
        found.append(np.array([numbers[value] for value in values], np.int64))
    if not (found[0] != found[1]).any():
        raise UserError("set: shape and texture of every image speak for one class, so no decision can be told apart")
    return found[0], found[1]


def _named(files: Sequence[str]) -> "list[Cues]":
    """The cues that the names of pictures say.

    Raises:
        UserError: some have other names; the message shows the first of them.
    """
    from robust3d.data.imagenet16 import cues_of
    from robust3d.errors import UserError

    found, wrong = [], []
    for file in files:
        try:
            found.append(cues_of(file))
        except UserError as error:
            wrong.append((file, error))
    if wrong:
        others = ", ".join(str(file) for file, _ in wrong[1:_SHOWN]) + (", …" if len(wrong) > _SHOWN else "")
        more = f"; {len(wrong)} of {len(files)} pictures are named otherwise, also {others}" if others else ""
        raise UserError(f"{wrong[0][1]}{more}")
    return found


def decisions(answers: "np.ndarray", shape: "np.ndarray", texture: "np.ndarray") -> "np.ndarray":
    """What each answer (N,) goes with: one of `DECISIONS`, or `SAME_CUE`."""
    import numpy as np

    found = np.where(answers == shape, SHAPE, np.where(answers == texture, TEXTURE, NEITHER)).astype(object)
    found[shape == texture] = SAME_CUE
    return found


def shares(decided: Sequence[str]) -> dict[str, Any]:
    """How many decisions go with each cue, and their shares; those of `SAME_CUE` count nowhere.

    Returns:
        `decisions`, their number; `shape`, `texture` and `neither`, numbers; `shape_share` and `texture_share` of the
        decisions for one of the two cues, which add up to 1; `neither_share` of all. None where there is nothing to
        divide by.
    """
    found = {name: sum(decision == name for decision in decided) for name in DECISIONS}
    total, for_one = sum(found.values()), found[SHAPE] + found[TEXTURE]
    return {
        "decisions": total,
        **found,
        "shape_share": found[SHAPE] / for_one if for_one else None,
        "texture_share": found[TEXTURE] / for_one if for_one else None,
        "neither_share": found[NEITHER] / total if total else None,
    }
