"""`robust3d evaluate`: AutoAttack against a user's own ResNet-18 checkpoint and images."""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.params import AutoAttackParams
from robust3d.data.published.files import read_npz
from robust3d.data.sets import save_set
from robust3d.errors import UserError
from robust3d.models.classifier import load_classifier
from robust3d.models.files import load_state
from robust3d.study.config import parse_epsilon
from robust3d.study.parsing import parse
from robust3d.tables.cells import epsilon_label

_LARGEST_BYTES = 64 << 30  # of images and labels, unpacked


def evaluate_checkpoint(arguments: argparse.Namespace) -> None:
    """Print clean and robust accuracies with the warning flags; write per-image outcomes if asked.

    Raises:
        UserError: the checkpoint, the images or a budget cannot be used.
    """
    images, labels = _read_images(arguments.images)
    state = load_state(arguments.checkpoint)
    if "fc.weight" not in state:
        raise UserError(
            f"{arguments.checkpoint}: no tensor fc.weight, so this is not a torchvision ResNet-18 classifier"
        )
    classes = len(state["fc.weight"])
    if int(labels.max()) >= classes:
        raise UserError(f"{arguments.images}: label {int(labels.max())}, but the classifier has {classes} classes")
    values = {"norm": arguments.norm, "backend": arguments.backend}
    try:
        params = parse(AutoAttackParams, values | {"epsilons": [parse_epsilon(text) for text in arguments.epsilon]})
    except ValueError as error:
        raise UserError(f"--epsilon: {error}") from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_classifier(arguments.checkpoint, classes, arguments.normalisation).to(device)
    outcomes = evaluate(model, images.to(device).float() / 255, labels.to(device), params)

    print(f"{len(images)} images, {classes} classes, backend {params.backend}")
    print(f"clean                  {100 * outcomes.clean_accuracy:6.2f} %")
    for epsilon, accuracy in zip(outcomes.epsilons, outcomes.robust_accuracy):
        print(f"{epsilon_label(params.norm, epsilon):22} {100 * accuracy:6.2f} %")
    print(f"at a huge budget       {100 * outcomes.sanity_accuracy:6.2f} %   (should be about 0)")
    for name, flag in asdict(outcomes.flags).items():
        if flag:
            print(f"warning: {name.replace('_', ' ')}: {flag}")
    if arguments.outcomes:
        save_set(outcomes.to_frame(), arguments.outcomes)


def _read_images(path: Path) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) uint8 and labels (N,) from an .npz."""
    try:
        arrays = read_npz(path, ("images", "labels"), _LARGEST_BYTES)
    except UserError as error:
        expected = "expected an .npz with arrays `images` and `labels`, as np.savez writes it"
        raise UserError(f"{error}; {expected}") from None
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise UserError(f"{path}: `images` must be uint8 N×H×W×3, found {images.dtype} {images.shape}")
    is_whole = labels.shape == images.shape[:1] and np.issubdtype(labels.dtype, np.integer)
    if not is_whole or labels.min(initial=0) < 0 or labels.max(initial=0) >= 1 << 31:
        raise UserError(
            f"{path}: `labels` must be {len(images)} whole numbers from 0, found {labels.dtype} {labels.shape}"
        )
    if not len(images):
        raise UserError(f"{path}: no images")
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels.astype(np.int64))
