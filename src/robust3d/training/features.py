"""Features of images by a frozen classifier: what enters its last layer."""

import torch
from torch import Tensor

from robust3d.attacks.agreement import ieee_fp32
from robust3d.data.images import ImageData
from robust3d.models.classifier import Classifier
from robust3d.training.classification import to_unit

BATCH = 250  # images per pass through the encoder


def frozen_features(
    classifier: Classifier, images: ImageData, index: Tensor, mirrored: bool = False, batch: int = BATCH
) -> Tensor:
    """What enters the head, (n, feature_dim) float32, of images at some places; in eval mode, without gradients.

    Args:
        classifier: not changed; left in eval mode.
        images: uint8, on the classifier's device.
        index: (n,) places.
        mirrored: of the images left-right.
        batch: images per pass; changes speed and memory only.
    """
    found: list[Tensor] = []
    head = classifier.network.get_submodule(classifier.architecture.head)
    watch = head.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].detach().float()))
    classifier.eval()
    try:
        with torch.no_grad(), ieee_fp32():
            for part in index.split(batch):
                pixels = to_unit(images.batch(part))
                classifier(pixels.flip(3) if mirrored else pixels)
    finally:
        watch.remove()
    return torch.cat(found)
