"""Parameters of the generators that 3DWINN is compared with; imports no torch.

"Wu" is Wu et al. 2016 (3D-GAN). 3DWINN's authors took its released models; how they trained their 3D-VAE is not stated.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from robust3d.params import Params
from robust3d.parsing import parse
from robust3d.training.params import LoopParams


class GeneratorParams(Params):
    """What both methods share."""

    method: Literal["vae", "gan"]
    resolution: int = Field(32, ge=8)  # voxels along a side, a power of two; Wu: 64, 3DWINN: 32
    width: float = Field(1.0, gt=0)  # times Wu's channels: 512, 256, 128, 64 at 64 voxels, the last three at 32
    latent: int = Field(200, ge=1)  # Wu: 200
    batch: int = Field(100, ge=2)  # Wu: 100
    steps: int = Field(5000, gt=0)  # of the optimiser; not stated
    learning_rate: float = Field(0.0025, gt=0)  # of the generator; Wu: 0.0025
    beta1: float = Field(0.5, ge=0, lt=1)  # of Adam; Wu: 0.5
    beta2: float = Field(0.999, ge=0, lt=1)  # of Adam; not stated, its authors' default
    samples: int = Field(1000, ge=2)  # that are generated after the training; not stated
    # Batches after which batch norms have the statistics that volumes are generated with; not stated. The running ones
    # of the training lag behind: at this learning rate a latent's map moves by more than its spread in a few steps.
    calibration_batches: int = Field(20, ge=1)
    threshold: float = Field(0.5, gt=0, lt=1)  # probability above which a voxel is filled; not stated
    validations: int = Field(10, ge=1)  # in all
    checkpoint_minutes: float = Field(10.0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = Field(0, ge=0)

    @field_validator("resolution")
    @classmethod
    def _check_resolution(cls, resolution: int) -> int:
        if resolution & (resolution - 1):
            raise ValueError(f"each layer doubles it from 4 on, so it must be a power of two, not {resolution}")
        return resolution

    @property
    def loop(self) -> LoopParams:
        """The loop's parameters."""
        return LoopParams(
            steps=self.steps,
            learning_rate=self.learning_rate,
            betas=(self.beta1, self.beta2),
            validate_every=-(-self.steps // self.validations),
            checkpoint_minutes=self.checkpoint_minutes,
            precision=self.precision,
        )


class VaeParams(GeneratorParams):
    """3D-VAE (Kingma and Welling 2014): Wu's generator as decoder, its mirror as encoder."""

    method: Literal["vae"] = "vae"
    kl: float = Field(1.0, ge=0)  # weight of the divergence; 1: that of the evidence bound; not stated


class GanParams(GeneratorParams):
    """3D-GAN."""

    method: Literal["gan"] = "gan"
    discriminator_learning_rate: float = Field(1e-5, gt=0)  # Wu: 1e-5
    # The discriminator learns from a batch only if its accuracy on the last one was not over this; Wu: 0.8. 1: always.
    discriminator_accuracy: float = Field(0.8, ge=0, le=1)
    # Whether its batch norms see real and generated volumes in one batch; not stated. apart: each is scaled to its
    # own spread, so that it cannot see that generated voxels are all faint, which a threshold makes empty.
    discriminator_batches: Literal["together", "apart"] = "together"
    prior: Literal["uniform", "normal"] = "uniform"  # of each number of the latent; Wu: uniform in 0 … 1
    # saturating: the generator minimises log(1 - D), as Wu's Eq. 1 has it; non_saturating: it maximises log D, as
    # Goodfellow et al. 2014 advise, for the other gives no gradient while the discriminator wins. Not stated.
    generator_loss: Literal["saturating", "non_saturating"] = "non_saturating"


METHODS: dict[str, type[GeneratorParams]] = {"vae": VaeParams, "gan": GanParams}


def parse_generator(values: Mapping[str, Any], key: str = "") -> GeneratorParams:
    """The parameters that `values` name, of the class that belongs to their `method`.

    Raises:
        ValueError: with one line for each mistake, beginning with `key`.
    """
    method = values.get("method")
    if method not in METHODS:
        place = f"{key}.method" if key else "method"
        raise ValueError(f"{place}: {method!r} is none of {', '.join(METHODS)}")
    found: GeneratorParams = parse(METHODS[str(method)], values, key)
    return found
