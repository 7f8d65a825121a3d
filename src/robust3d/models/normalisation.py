"""How images in [0, 1] are normalised before a network sees them. Imports no torch: planning imports this module."""

from typing import Literal

Normalisation = Literal["imagenet", "half", "lite", "fractaldb"]

# (mean, std) per channel of images in [0, 1]; "imagenet": Geon3D section 4, "half": pixelNeRF's scaling, "lite":
# that of EfficientNet-Lite's weights, "fractaldb": that of FractalDB's released pre-training.
STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "lite": ((127 / 255,) * 3, (128 / 255,) * 3),
    "fractaldb": ((0.2, 0.2, 0.2), (0.5, 0.5, 0.5)),
}
