"""Parameters of SimSiam (Chen and He 2021)."""

from typing import Literal

from pydantic import Field

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams


class Loop(LoopParams):
    """The reference's schedule on CIFAR: what a study leaves out stays so."""

    steps: int = Field(78_000, gt=0)  # 800 epochs of 50,000 images
    learning_rate: float = Field(0.06, gt=0)  # 0.03 x batch / 256
    optimiser: Literal["adam", "sgd"] = "sgd"
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["steps", "cosine"] = "cosine"


class Params(Base):
    """Heads, augmentation and schedule; defaults are those of the paper for small images (its CIFAR experiments)."""

    width: int = Field(2048, gt=1)  # of the projection (reference: 2048)
    hidden: int = Field(512, gt=0)  # of the prediction's middle layer (reference: 512)
    layers: int = Field(2, ge=1)  # of the projection (reference: 3, on CIFAR 2)
    crop: float = Field(
        0.45, gt=0, le=1
    )  # smallest side of a random crop, of the image's (reference: 20 % of the area)
    flip: bool = True
    jitter: float = Field(0.4, ge=0, le=1)  # of brightness, contrast and saturation (reference: 0.4, and 0.1 of hue)
    grey: float = Field(0.2, ge=0, le=1)  # share of images without colour (reference: 0.2)
    batch: int = Field(512, gt=1)  # images per step (reference: 512); each is seen twice
    validation_images: int = Field(512, gt=1)  # maximum number of held-out images, and of training images beside them
    loop: Loop = Loop()
