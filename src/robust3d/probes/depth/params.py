"""Parameters of the depth heads; imports no torch."""

from typing import Literal

from pydantic import Field

from robust3d.params import Params as Base


class Params(Base):
    """Heads and their training."""

    head: Literal["linear", "dpt"] = "linear"  # linear: one 1x1 convolution; dpt: four scales, fused
    bins: int = Field(256, ge=2)  # between the smallest and largest training depth (DINOv2: 256)
    width: int = Field(64, ge=1)  # of the dpt head (DINOv2: 256)
    upscale: int = Field(4, ge=1)  # of the tokens by the linear head (DINOv2: 4)
    steps: int = Field(400, ge=1)  # DINOv2: 38,400
    batch: int = Field(32, ge=1)  # images per step (DINOv2: 16)
    learning_rate: float = Field(1e-3, gt=0)  # of Adam, along a cosine to 0 (DINOv2: AdamW, 1e-4)
    images: int | None = Field(None, ge=1)  # of the training images, the first ones; none: all
    seed: int = Field(0, ge=0)  # of the head and of the order of the images
