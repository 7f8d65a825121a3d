"""Supervised pre-training: the encoder learns to predict classes.

On an experiment's views it is the control for more data: with the autoencoder's batch and steps the encoder sees the
autoencoder's input images in the same order, so the two columns differ in the loss only. On an image `set` of its own,
such as FractalDB, it is what Kataoka et al. (2020) and Flatland call pre-training.
"""

from pydantic import Field

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams


class Params(Base):
    """Images and schedule; the head is one linear layer."""

    crop_px: int | None = Field(None, ge=8)  # side of a window of each image: at random in training, else the middle;
    # none: whole images
    flip: bool = False  # half of the training images, left-right (FractalDB's flips are images of the set)
    batch: int = Field(256, gt=1)  # images per step, as the autoencoder's; drawn with replacement
    validation_images: int = Field(1024, gt=0)  # maximum number of held-out images
    loop: LoopParams = LoopParams(steps=6_250, learning_rate=1e-4, validate_every=250)  # as the autoencoder's
