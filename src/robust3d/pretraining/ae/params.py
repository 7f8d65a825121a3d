"""The 2D autoencoder as a pre-training: its parameters.

Defaults are those of lightning-bolts' `AE`; the reference's encoder starts random.
"""

from typing import Literal

from pydantic import Field

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams


class Params(Base):
    """The autoencoder's architecture and schedule."""

    target: Literal["normalised", "unit"] = "normalised"  # of the decoder (reference); unit: pixels in [0, 1]
    latent_dim: int = Field(256, gt=0)  # reference: 256
    batch: int = Field(256, gt=1)  # images per step (reference: 256)
    validation_images: int = Field(1024, gt=0)  # maximum number of held-out images, evenly spaced
    loop: LoopParams = LoopParams(
        steps=6_250,  # as many images as pixelNeRF's 400,000 steps of 4; the paper matches epochs
        learning_rate=1e-4,  # reference: Adam 1e-4, no schedule
        validate_every=250,
    )
