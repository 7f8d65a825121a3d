"""Supervised pre-training, the control for more data: it predicts the classes of the autoencoder's input images.

With the autoencoder's batch and steps the encoder sees the same images in the same order, so the two columns differ
in the loss only.
"""

from pydantic import Field

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams


class Params(Base):
    """The schedule; the head is one linear layer."""

    batch: int = Field(256, gt=1)  # images per step, as the autoencoder's
    validation_images: int = Field(1024, gt=0)  # maximum number of held-out images
    loop: LoopParams = LoopParams(steps=6_250, learning_rate=1e-4, validate_every=250)  # as the autoencoder's
