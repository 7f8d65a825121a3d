"""Parameters of the reference classifier of volumes; imports no torch."""

from pydantic import Field

from robust3d.params import Params
from robust3d.training.params import LoopParams


class ReferenceParams(Params):
    """Size and training of the reference classifier (Qi et al. 2016)."""

    width: float = Field(1.0, gt=0, le=1)  # share of the published channels; its 4,096 features shrink with it
    epochs: int = Field(60, gt=0)  # not stated
    batch_size: int = Field(64, gt=1)
    learning_rate: float = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    halve_epochs: int = Field(20, gt=0)  # after each so many epochs the learning rate is halved
    jitter: int = Field(2, ge=0)  # largest random shift of a training volume along each axis, in voxels
    validate_epochs: int = Field(5, gt=0)  # between validations; the best one's weights are kept
    checkpoint_minutes: float = Field(10.0, ge=0)  # between checkpoints
    seed: int = Field(0, ge=0)  # weights, order, jitter, dropout

    def loop(self, volumes: int) -> LoopParams:
        """The loop's parameters in steps, for a training set of `volumes`."""

        def steps(epochs: int) -> int:
            return max(1, round(epochs * volumes / self.batch_size))

        return LoopParams(
            steps=steps(self.epochs),
            learning_rate=self.learning_rate,
            optimiser="sgd",
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            decay_steps=tuple(steps(epoch) for epoch in range(self.halve_epochs, self.epochs, self.halve_epochs)),
            decay_factor=0.5,
            validate_every=steps(self.validate_epochs),
            selection="best",
            checkpoint_minutes=self.checkpoint_minutes,
        )
