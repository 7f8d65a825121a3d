"""Adversarial training by PGD (Madry et al. 2018, Geon3D section 4)."""

from typing import TYPE_CHECKING, Literal

from robust3d.attacks.params import Norm
from robust3d.training.params import ClassifierParams

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier
    from robust3d.training.loop import Task


class Params(ClassifierParams):
    """The shared parameters; `attack` is used for training and validation."""

    objective: Literal["pgd"] = "pgd"

    @property
    def trained_against(self) -> Norm:
        """Norm of the attack."""
        return self.attack.norm


def make_task(
    classifier: "Classifier",
    images: "ImageData",
    held_out: "ImageData",
    params: Params,
) -> "Task":
    """The task; it trains `classifier` in place."""
    from robust3d.trainings.pgd.task import AdversarialTraining

    return AdversarialTraining(classifier, images, held_out, params)
