"""`robust3d evaluate`: AutoAttack against a user's own checkpoint and images."""

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from robust3d.architectures import DEFAULT, architecture
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.budgets import label
from robust3d.attacks.outcomes import Outcomes
from robust3d.attacks.params import AutoAttackParams
from robust3d.data.packed import fitted
from robust3d.data.published.files import read_npz
from robust3d.data.sets import save_set
from robust3d.errors import UserError
from robust3d.files import cause, partial, publish
from robust3d.imagesets import folder
from robust3d.models.architecture import Architecture
from robust3d.models.classifier import load_classifier
from robust3d.models.files import load_state
from robust3d.models.recognition import classifier_state
from robust3d.parsing import parse
from robust3d.study.yaml_text import parse_yaml

_LARGEST_BYTES = 64 << 30  # of images and labels, unpacked


def evaluate_checkpoint(arguments: argparse.Namespace) -> None:
    """Print clean and robust accuracies with the warning flags; write per-image outcomes if asked.

    Exits with 1 where the attacks say nothing about the model, so that its robust accuracies are not valid.

    Raises:
        UserError: the checkpoint, the images or a budget cannot be used.
    """
    params = _params(arguments)
    if arguments.outcomes:
        _check_place(arguments.outcomes)
    images, labels = _read_images(arguments.images, arguments.resolution)
    network = _architecture(arguments.architecture)
    network.check_size(min(images.shape[-2:]), str(arguments.images))
    found = load_state(arguments.checkpoint)
    try:
        state, prefix = classifier_state(found, arguments.checkpoint, network)
    except UserError as error:
        raise UserError(f"{error} (--architecture names another; default: {DEFAULT})") from None
    classes = len(state[f"{network.head}.weight"])
    if int(labels.max()) >= classes:
        raise UserError(f"{arguments.images}: label {int(labels.max())}, but the classifier has {classes} classes")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_classifier(arguments.checkpoint, network, classes, arguments.normalisation).to(device)
    try:
        outcomes = evaluate(model, images.to(device).float() / 255, labels.to(device), params)
    except ValueError as error:
        raise UserError(f"{arguments.checkpoint} on {arguments.images}: {error}") from None
    left_out = f", keys without {prefix!r}" if prefix else ""
    print(f"{len(images)} images, {classes} classes, {network.name}{left_out}, backend {params.backend}")
    _tell(outcomes)
    if arguments.outcomes:
        _save(outcomes, arguments.outcomes)
    if outcomes.flags.invalid:
        sys.exit(1)


def _architecture(text: str | None) -> Architecture:
    """The architecture that the command line names, as a configuration would."""
    entry = parse_yaml(f"architecture: {text or DEFAULT}", f"--architecture {text}")["architecture"]
    try:
        return architecture(entry)
    except ValueError as error:
        raise UserError(f"--architecture: {error}") from None


def _params(arguments: argparse.Namespace) -> AutoAttackParams:
    """The attack's parameters from the command line.

    Raises:
        UserError: a budget that is none.
    """
    values = {"norm": arguments.norm, "backend": arguments.backend}
    try:
        params: AutoAttackParams = parse(AutoAttackParams, values | {"epsilons": arguments.epsilon})
    except ValueError as error:
        raise UserError(f"--epsilon: {error}") from None
    return params


def _check_place(path: Path) -> None:
    """Refuse a place for the outcomes that cannot be written, before hours are spent on them."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        why = "a folder" if path.is_dir() else "no folder to write into" if path.parent.is_dir() else "no such folder"
        raise UserError(f"--outcomes {path}: {why}; name a Parquet file in a folder that can be written")


def _save(outcomes: Outcomes, path: Path) -> None:
    temporary = partial(path)
    try:
        save_set(outcomes.to_frame(), temporary)
        publish(temporary, path)
    except OSError as error:
        raise UserError(f"--outcomes {path}: cannot be written ({cause(error)})") from None
    finally:
        temporary.unlink(missing_ok=True)


def _tell(outcomes: Outcomes) -> None:
    """Print the accuracies, or that they are not valid; warnings go to stderr, where they are not piped away."""
    flags, warnings = outcomes.flags, []
    print(f"clean                  {100 * outcomes.clean_accuracy:6.2f} %")
    for epsilon, accuracy in zip(outcomes.epsilons, outcomes.robust_accuracy):
        shown = "not valid" if flags.invalid else f"{100 * accuracy:6.2f} %"
        print(f"{label(outcomes.norm, epsilon):22} {shown}")
    print(f"at a huge budget       {100 * outcomes.sanity_accuracy:6.2f} %   (should be about 0)")
    for name, flag in asdict(flags).items():
        if name == "at_chance" and flag:
            warnings.append(
                "CLEAN ACCURACY IS NOT ABOVE CHANCE. The usual causes: another normalisation than in training "
                "(--normalisation), another order of the classes, BGR instead of RGB, other preprocessing of the images"
            )
        elif name == "notices":
            warnings += flag
        elif flag and name != "invalid":
            warnings.append(f"{name.replace('_', ' ')}: {flag}")
    lines = [f"warning: {text}" for text in warnings] + [f"not valid: {reason}" for reason in flags.invalid]
    print("\n".join(lines), end="\n" * bool(lines), file=sys.stderr, flush=True)


def _read_images(path: Path, resolution_px: int | None) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) uint8 and labels (N,) from an .npz, or from a folder of pictures."""
    if path.is_dir():
        return _read_folder(path, resolution_px)
    if resolution_px is not None:
        raise UserError("--resolution: belongs to a folder of pictures; the images of an .npz are taken as they are")
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
    if images.max(initial=0) <= 1:
        raise UserError(
            f"{path}: no value of `images` is above 1; pixels go from 0 to 255 (multiply by 255, then round)"
        )
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels.astype(np.int64))


def _read_folder(path: Path, resolution_px: int | None) -> tuple[Tensor, Tensor]:
    """The test images of a folder, or all of one without splits; labels are places in the sorted class names."""
    if resolution_px is None:
        raise UserError(f"{path}: a folder of pictures; say by --resolution to which side in pixels they are scaled")
    values = {"kind": "folder", "path": str(path), "resolution_px": resolution_px}
    try:
        params = parse(folder.Params, values)
    except ValueError as error:
        raise UserError(f"--images {path} --resolution {resolution_px}: {error}") from None
    classes, rows = folder.list_pictures(params, 0)
    split = next((split for split in ("test", "val", "any") if (rows["split"] == split).any()), "train")
    rows = rows[rows["split"] == split]
    if (size := len(rows) * 3 * resolution_px**2) > _LARGEST_BYTES:
        raise UserError(f"{path}: {len(rows):,} pictures are {size:,} bytes, at most {_LARGEST_BYTES:,} are attacked")
    read = folder.picture_reader(params, 0)
    images = np.empty((len(rows), 3, resolution_px, resolution_px), np.uint8)
    for image, row in zip(images, rows.itertuples(index=False), strict=True):
        image[:] = fitted(read(row), params).transpose(2, 0, 1)
    labels = [classes.index(name) for name in rows["class_name"]]
    print(f"{path}: {len(rows)} pictures of its split {split!r}, {len(classes)} classes")
    return torch.from_numpy(images), torch.tensor(labels)
