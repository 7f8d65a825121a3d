"""Fine-tuning of all layers on clean images, as pre-trainings are compared by transfer (Kataoka et al. 2020).

It is the training on clean images without the attack of its validation, which costs more than it trains on few labels.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from robust3d.params import Params as Base
from robust3d.training.params import ClassifierParams, LoopParams

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.models.classifier import Classifier
    from robust3d.training.loop import Task


class SearchParams(Base):
    """Values to try by cross-validation on the labelled training images, all combinations; left out: the given one."""

    learning_rate: tuple[Annotated[float, Field(gt=0)], ...] = ()
    weight_decay: tuple[Annotated[float, Field(ge=0)], ...] = ()
    folds: int = Field(3, ge=2)  # trainings of each combination

    @property
    def grid(self) -> dict[str, tuple[float, ...]]:
        """The values by parameter, those that are tried."""
        given = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        return {name: values for name, values in given.items() if values}

    @model_validator(mode="after")
    def _something(self) -> "SearchParams":
        if not self.grid:
            raise ValueError("learning_rate, weight_decay: both left out, so nothing is searched; give values of one")
        return self


class Params(ClassifierParams):
    """The shared parameters but the attack."""

    objective: Literal["finetune"] = "finetune"
    schedule: Literal["steps", "cosine"] = "steps"  # steps: by `decay_epochs`; cosine: to 0 at the end
    search: SearchParams | None = None  # hyper-parameters chosen by cross-validation (Flatland 3.3); none: as given

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
    """The task; it trains `classifier` in place. Images that show several classes are judged class by class."""
    from robust3d.training.classification import CleanClassification
    from robust3d.training.multilabel import MultiLabelClassification

    kind = CleanClassification if images.shown is None else MultiLabelClassification
    return kind(classifier, images, held_out, params)
