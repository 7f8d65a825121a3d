"""AdvProp: clean and adversarial images in one step, with batch norms of their own for each (Xie et al. 2020)."""

from typing import TYPE_CHECKING, Literal

from robust3d.attacks.params import Norm
from robust3d.training.params import ClassifierParams

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier
    from robust3d.training.loop import Task


class Params(ClassifierParams):
    """All that trainings share; the attack is that of training too.

    The shape-bias paper trains with two budgets, L2 of 1 and 5 ("PGD1", "PGD5", section 3.1).
    """

    objective: Literal["advprop"] = "advprop"

    @property
    def trained_against(self) -> Norm:
        """The norm of the attack."""
        return self.attack.norm


def make_task(
    classifier: "Classifier",
    images: "ImageData",
    held_out: "ImageData",
    params: Params,
) -> "Task":
    """The task, which trains `classifier` in place.

    Raises:
        UserError: the architecture has no batch norms.
    """
    from robust3d.trainings.advprop.task import AdvProp

    return AdvProp(classifier, images, held_out, params)
