"""Starts a classifier from a pre-trained encoder: trained flags, normalisation, batch norms."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from robust3d.errors import UserError
from robust3d.models.architecture import Architecture, batch_norms, measured_statistics
from robust3d.models.classifier import Classifier
from robust3d.models.normalisation import STATISTICS, Normalisation
from robust3d.training.classification import to_unit

BatchnormAtTransfer = Literal["keep", "reset", "recalibrate"]
RECALIBRATION_BATCHES = 100  # at most
# fmt: off
FACTS = (  # keys of an encoder's info, besides the flags of trained tensors
    "method", "architecture", "start", "normalisation", "input_background", "target_background", "resolution_px",
    "images_seen", "images_per_step", "devices", "steps", "selected_step", "precision", "collapse", "validation",
    "seed", "params",
)
# fmt: on


def extract_encoder(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], **facts: Any
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The encoder's trunk and its description.

    Args:
        before: trunk state dict at initialisation (cloned before training).
        after: trunk state dict after training.
        facts: further keys of the description: method, start, normalisation, images_seen, steps, …

    Returns:
        The state dict on the CPU, and `facts` with ``trained`` (tensor name -> whether its
        bytes differ from the initial ones), ``trained_tensors`` and ``tensors`` (counts).

    Raises:
        ValueError: the two do not hold the same tensors.
    """
    if before.keys() != after.keys():
        raise ValueError(f"different tensors: {sorted(before.keys() ^ after.keys())}")
    state = {key: value.detach().cpu().contiguous().clone() for key, value in after.items()}
    trained = {key: _bytes(before[key]) != _bytes(value) for key, value in state.items()}
    counts = {"trained_tensors": sum(trained.values()), "tensors": len(trained)}
    return state, {**facts, **counts, "trained": trained}


def initialise_classifier(
    classifier: Classifier,
    trunk: Mapping[str, Tensor],
    source_normalisation: Normalisation,
    normalisation_change: Literal["ignore", "fold"] = "ignore",
    batchnorm: BatchnormAtTransfer = "keep",
    recalibration: Tensor | None = None,
    batch_size: int = 50,
) -> None:
    """Start a classifier from an encoder's trunk; only the head keeps its initial weights.

    Args:
        classifier: changed in place.
        trunk: every tensor of the classifier's architecture but the head's.
        source_normalisation: with which the trunk was trained.
        normalisation_change: "fold" a change of normalisation into the first layer, or "ignore" it.
        batchnorm: "keep" the running statistics, "reset" them to mean 0, variance 1, or "recalibrate" them.
        recalibration: uint8 (M, 3, H, W) clean training images, for "recalibrate".
        batch_size: of the recalibration.

    Raises:
        UserError: `trunk` lacks tensors or has foreign ones; or the architecture has no batch norms to reset or
            recalibrate, or no first layer to fold into.
    """
    architecture = classifier.architecture
    if batchnorm != "keep" and not batch_norms(classifier):
        raise UserError(f"batchnorm: {batchnorm}, but {architecture.name} has no batch norms; leave it at keep")
    if normalisation_change == "fold":
        trunk = fold_normalisation(trunk, architecture, source_normalisation, classifier.normalisation)
    architecture.load_trunk(classifier.network, trunk, "the encoder")
    if batchnorm == "reset":
        for layer in batch_norms(classifier):
            layer.reset_running_stats()
    elif batchnorm == "recalibrate":
        if recalibration is None:
            raise ValueError("recalibrating the batch norms needs images")
        recalibrate(classifier, recalibration, batch_size)


def recalibrate(classifier: nn.Module, images: Tensor, batch_size: int) -> None:
    """Set the batch norms' running statistics to the mean over up to 100 full clean batches.

    Args:
        classifier: changed in place, left in eval mode.
        images: uint8 (M, 3, H, W).
        batch_size: images per batch.
    """
    with measured_statistics(batch_norms(classifier)), torch.no_grad():
        classifier.train()
        for batch in images.split(batch_size)[:RECALIBRATION_BATCHES]:
            if len(batch) == min(batch_size, len(images)):
                classifier(to_unit(batch))
    classifier.eval()


def fold_normalisation(
    trunk: Mapping[str, Tensor], architecture: Architecture, source: Normalisation, target: Normalisation
) -> dict[str, Tensor]:
    """A trunk that computes with the `target` normalisation what `trunk` computes with the `source` one.

    The affine change goes into the first convolution's weights, its constant into the running mean of the batch norm
    after it or into its bias. Exact except where that convolution reads zero padding at the image border: zero is a
    different colour under the two normalisations.

    Raises:
        UserError: the architecture has no single first layer.
    """
    if not architecture.first:
        raise UserError(f"normalisation_change: {architecture.name} has no single first layer to fold into; ignore it")
    first, constant = architecture.first
    (mean, std), (target_mean, target_std) = (torch.tensor(STATISTICS[name]) for name in (source, target))
    weight = trunk[first]
    scale = (target_std / std).view(1, 3, 1, 1)
    shift = (weight * ((target_mean - mean) / std).view(1, 3, 1, 1)).sum((1, 2, 3))
    is_mean = constant.endswith("running_mean")
    return {**trunk, first: weight * scale, constant: trunk[constant] - shift if is_mean else trunk[constant] + shift}


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()
