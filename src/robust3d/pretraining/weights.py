"""An encoder from weights on disk. No training, so no `make_task`; stage `import_encoder` reads the file.

ImageNet weights are the control for "any pre-training helps"; other pre-trainings may start from them.
"""

from robust3d.params import FilePath
from robust3d.params import Params as Base


class Params(Base):
    """The file of the weights."""

    weights: FilePath  # a state dict of the architecture, with or without its head: .pth, .pt or .safetensors
