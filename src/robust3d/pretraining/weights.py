"""An encoder as it lies on disk: nothing is trained here, so there is no `make_task`; stage `import_encoder` reads it.

ImageNet's weights are the control for "any pre-training helps", and what another pre-training may start from.
"""

from robust3d.params import FilePath
from robust3d.params import Params as Base


class Params(Base):
    """Which weights."""

    weights: FilePath  # a state dict of the architecture, with or without its head: .pth, .pt or .safetensors
