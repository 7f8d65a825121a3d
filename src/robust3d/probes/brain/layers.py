"""Features of a network's layers for all images of a set, with one number of features where it is asked for."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from robust3d.attacks.agreement import ieee_fp32
from robust3d.brain.predictivity import projection
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture

if TYPE_CHECKING:
    from robust3d.data.images import ImageData
    from robust3d.probes import Subject
    from robust3d.probes.brain import Params


def layer_features(params: "Params", subject: "Subject", images: "ImageData") -> dict[str, npt.NDArray[np.float32]]:
    """Outputs (images, features) of the layers, each image's flattened, in the order in which they run.

    A layer of more features than `dimension` is projected while it is computed, so that memory holds `dimension`
    values for each image and layer. Layers that are constant over the images are refused.

    Raises:
        UserError: the architecture has no such layer, or a layer does not tell the images apart.
    """
    model = subject.model
    layers = _named(params.layers, model.architecture)
    found: dict[str, list[npt.NDArray[np.float32]]] = {layer: [] for layer in layers}
    projections: dict[str, Any] = {}
    with torch.inference_mode(), ieee_fp32():
        for pixels, _ in images.batches(params.batch_size):
            inputs = model.normalise(pixels.to(subject.device).float() / 255)
            for layer, output in model.architecture.outputs(model.network, inputs, layers).items():
                flat = output.flatten(1).cpu().numpy()
                if layer not in projections:
                    projections[layer] = projection(flat.shape[1], params.dimension or flat.shape[1], params.seed)
                random = projections[layer]
                found[layer].append((flat if random is None else flat @ random).astype(np.float32))
    features = {layer: np.concatenate(parts) for layer, parts in found.items()}
    for layer, values in features.items():
        if not np.ptp(values, axis=0).any():
            raise UserError(f"layers: {layer} gives the same output for all images; leave it out, or train longer")
    return features


def _named(wanted: tuple[str, ...], architecture: Architecture) -> list[str]:
    """The layers to read; none: all."""
    if unknown := [layer for layer in wanted if layer not in architecture.layers]:
        raise UserError(
            f"layers: {architecture.name} has no layer {unknown[0]!r}; it has {', '.join(architecture.layers)}"
        )
    return [layer for layer in architecture.layers if not wanted or layer in wanted]
