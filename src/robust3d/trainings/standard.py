"""Training on clean images: the control without attack."""

from typing import TYPE_CHECKING, Literal

from robust3d.training.params import ClassifierParams

if TYPE_CHECKING:
    from torch import Tensor

    from robust3d.models.classifier import Classifier
    from robust3d.training.loop import Task


class Params(ClassifierParams):
    """All that trainings share; the attack is that of the validation alone."""

    objective: Literal["standard"] = "standard"


def make_task(
    classifier: "Classifier",
    images: "Tensor",
    labels: "Tensor",
    validation_images: "Tensor",
    validation_labels: "Tensor",
    params: Params,
) -> "Task":
    """The task, which trains `classifier` in place."""
    from robust3d.training.classification import Classification

    return Classification(classifier, images, labels, validation_images, validation_labels, params)
