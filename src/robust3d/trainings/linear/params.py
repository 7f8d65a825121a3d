"""Parameters of the linear probe; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from robust3d.params import distinct
from robust3d.training.params import ClassifierParams, LoopParams

# fmt: off
PUBLISHED_RATES = (  # dinov2/eval/linear.py, for 256 images a step
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1,
)
# fmt: on
_NOT_USED = ("learning_rate", "weight_decay", "decay_epochs", "decay_factor", "batchnorm")


class Params(ClassifierParams):
    """Learning rates, labels, features. DINOv2 takes 12,500 steps of 1,024 images."""

    objective: Literal["linear"] = "linear"
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(PUBLISHED_RATES, min_length=1)  # for 256 images a
    # step; with other batch sizes in proportion, as DINOv2's
    standardise: bool = False  # features to mean 0, variance 1 over the training images (DINOv2: not); good where
    # encoders have features of different size
    weight_decay: float = 0.0
    decay_epochs: tuple[int, ...] = ()

    _rates = field_validator("learning_rates")(distinct)

    @model_validator(mode="after")
    def _only_what_is_used(self) -> "Params":
        for name in _NOT_USED:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: has no meaning for objective linear; leave it out")
        return self

    @property
    def scaled_rates(self) -> tuple[float, ...]:
        """The learning rates for this batch size."""
        return tuple(rate * self.batch_size / 256 for rate in self.learning_rates)

    def loop(self, images: int) -> LoopParams:
        """The loop's parameters; its learning rate is the largest, and falls along a cosine to 0."""
        return super().loop(images).model_copy(update={"learning_rate": max(self.scaled_rates), "schedule": "cosine"})
