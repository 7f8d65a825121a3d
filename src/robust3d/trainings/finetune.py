"""Fine-tuning of all layers on clean images, as pre-trainings are compared by transfer (Kataoka et al. 2020).

It is the training on clean images without the attack of its validation, which costs more than it trains on few labels.
"""

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from robust3d.training.params import ClassifierParams, LoopParams

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier
    from robust3d.training.loop import Task


class Params(ClassifierParams):
    """The shared parameters but the attack."""

    objective: Literal["finetune"] = "finetune"
    schedule: Literal["steps", "cosine"] = "steps"  # steps: by `decay_epochs`; cosine: to 0 at the end

    @model_validator(mode="after")
    def _nothing_is_attacked(self) -> "Params":
        if self.attack != type(self).model_fields["attack"].default:
            raise ValueError("attack: has no meaning for objective finetune; leave it out")
        if self.schedule == "cosine" and self.decay_epochs:
            raise ValueError("decay_epochs: the learning rate falls along a cosine; say decay_epochs: []")
        return self

    def loop(self, images: int) -> LoopParams:
        """The loop's parameters, with the schedule."""
        return super().loop(images).model_copy(update={"schedule": self.schedule})


def make_task(
    classifier: "Classifier",
    images: "ImageData",
    held_out: "ImageData",
    params: Params,
) -> "Task":
    """The task; it trains `classifier` in place."""
    from robust3d.training.classification import CleanClassification

    return CleanClassification(classifier, images, held_out, params)
