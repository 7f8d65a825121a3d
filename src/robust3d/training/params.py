"""Parameters of the training loop and of the classifier's training; imports no torch."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from robust3d.architectures import ArchitectureParams
from robust3d.attacks.params import Norm, PgdParams
from robust3d.models.normalisation import Normalisation
from robust3d.params import Params


def check_shares(batch: int, devices: int) -> None:
    """Refuse a batch that devices cannot share evenly; a share of one image has no batch statistics.

    Raises:
        ValueError: naming both numbers.
    """
    if batch % devices or batch // devices < min(batch, 2):
        raise ValueError(f"devices: {devices} devices cannot share a batch of {batch} evenly, two images each at least")


class LoopParams(Params):
    """Steps, optimiser, validation and precision of one training."""

    steps: int = Field(gt=0)  # optimiser steps
    learning_rate: float = Field(1e-4, gt=0)  # DVR and pixelNeRF: 1e-4
    optimiser: Literal["adam", "sgd"] = "adam"  # torch's defaults besides the keys below
    momentum: float = Field(0.9, ge=0, lt=1)  # of sgd
    betas: tuple[float, float] = (0.9, 0.999)  # of adam
    weight_decay: float = Field(0.0, ge=0)  # on every parameter, batch norm and biases included
    decay_steps: tuple[PositiveInt, ...] = ()  # steps at which the learning rate is multiplied
    decay_factor: float = Field(0.1, gt=0, le=1)  # … by this
    schedule: Literal["steps", "cosine"] = "steps"  # cosine: falls along half a cosine to 0 at the last step, besides
    validate_every: int = Field(1000, gt=0)  # steps between validations; the last step is always validated
    selection: Literal["last", "best"] = "last"  # which validated step's weights are the output
    checkpoint_minutes: float = Field(10.0, ge=0)  # between checkpoints; 0: after every step
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast, weights in fp32; a CPU computes in fp32
    devices: int = Field(1, ge=1)  # GPUs of one node that share a batch; each batch norm sees its own share


class ClassifierParams(Params):
    """Parameters that all classifier trainings share (Geon3D section 4, else Madry's library); each adds its own."""

    architecture: ArchitectureParams | None = None  # none: its encoder's; from scratch: the papers'
    objective: str = "pgd"  # the module in robust3d.trainings; standard: the control without attack
    attack: PgdParams = Field(default=PgdParams())  # for the validation of every training, and for adversarial training
    normalisation: Literal[Normalisation, "source"] = "imagenet"  # source: the encoder's; the paper's: imagenet
    normalisation_change: Literal["ignore", "fold"] = "ignore"  # fold: into the first layer, if the encoder's differs
    batchnorm: Literal["keep", "reset", "recalibrate"] = "keep"  # statistics at transfer; open in the paper
    augmentation: Literal["none", "flip"] = "none"  # flip: half of the images, left-right; open in the paper
    labels_per_class: int | None = Field(None, ge=1)  # few labels, drawn by the seed; none: all. An epoch stays as long
    epochs: int = Field(60, gt=0)  # paper: 60
    batch_size: int = Field(50, gt=1)  # paper: 50 for L2, 100 for Linf
    learning_rate: float = Field(0.1, gt=0)  # Madry's library: 0.1
    momentum: float = Field(0.9, ge=0, lt=1)  # Madry's library: 0.9
    weight_decay: float = Field(1e-4, ge=0)  # Madry's library: 1e-4 ImageNet-like, 5e-4 CIFAR-like
    decay_epochs: tuple[PositiveInt, ...] = (50,)  # Madry's library: every 50
    decay_factor: float = Field(0.1, gt=0, le=1)  # Madry's library: 0.1
    validate_epochs: int = Field(5, gt=0)  # Madry's library: every 5 and the last
    selection: Literal["last", "best"] = "last"  # best: by validation accuracy, attacked in adversarial training
    checkpoint_minutes: float = Field(10.0, ge=0)  # between checkpoints
    precision: Literal["fp32", "bf16"] = "fp32"  # as in LoopParams
    devices: int = Field(1, ge=1)  # as in LoopParams
    seed: int = Field(0, ge=0)  # head, order of the images, random starts

    @model_validator(mode="after")
    def _decays_happen(self) -> "ClassifierParams":
        if list(self.decay_epochs) != sorted(set(self.decay_epochs)):
            raise ValueError(f"decay_epochs must rise, not {self.decay_epochs}")
        check_shares(self.batch_size, self.devices)
        return self

    @property
    def trained_against(self) -> Norm | None:
        """Norm of the training perturbations; None: training on clean images."""
        return None

    def loop(self, images: int) -> LoopParams:
        """The loop's parameters in steps, for a training set of `images`.

        All batches are full: if the batch size does not divide the images, an epoch ends inside a batch.
        """

        def steps(epochs: int) -> int:
            return max(1, round(epochs * images / self.batch_size))

        return LoopParams(
            steps=steps(self.epochs),
            learning_rate=self.learning_rate,
            optimiser="sgd",
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            decay_steps=tuple(steps(epoch) for epoch in self.decay_epochs),
            decay_factor=self.decay_factor,
            validate_every=steps(self.validate_epochs),
            selection=self.selection,
            checkpoint_minutes=self.checkpoint_minutes,
            precision=self.precision,
            devices=self.devices,
        )
