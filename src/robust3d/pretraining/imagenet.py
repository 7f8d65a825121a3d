"""ImageNet weights as they lie on disk, the control for "any pre-training helps": nothing is trained here.

A method without `make_task` hands its weights to the classifier directly; see `robust3d.study.config.Pretraining`.
"""

from robust3d.params import FilePath
from robust3d.params import Params as Base


class Params(Base):
    """Which weights."""

    weights: FilePath  # torchvision's ResNet18_Weights.IMAGENET1K_V1, .pth or .safetensors
