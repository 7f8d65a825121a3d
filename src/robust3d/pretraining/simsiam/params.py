"""Parameters of SimSiam (Chen and He 2021)."""

from pydantic import Field

from robust3d.params import Params as Base
from robust3d.training.params import LoopParams


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
    loop: LoopParams = LoopParams(
        steps=78_000,  # reference on CIFAR: 800 epochs of 50,000 images
        learning_rate=0.06,  # reference on CIFAR: 0.03 x batch / 256, along a cosine
        optimiser="sgd",
        momentum=0.9,
        weight_decay=5e-4,
        validate_every=1_000,
    )
