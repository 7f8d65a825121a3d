"""Training on clean images: the control without attack."""

from typing import TYPE_CHECKING, Literal

from robust3d.training.params import ClassifierParams

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier
    from robust3d.training.loop import Task


class Params(ClassifierParams):
    """The shared parameters; `attack` is used for validation only."""

    objective: Literal["standard"] = "standard"


def make_task(
    classifier: "Classifier",
    images: "ImageData",
    held_out: "ImageData",
    params: Params,
) -> "Task":
    """The task; it trains `classifier` in place."""
    from robust3d.training.classification import Classification

    return Classification(classifier, images, held_out, params)
