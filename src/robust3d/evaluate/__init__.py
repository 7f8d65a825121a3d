"""`robust3d evaluate`: AutoAttack against a published classifier or a checkpoint of a user's, on the user's images."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor

from robust3d.attacks.autoattack import Progress
from robust3d.attacks.budgets import label
from robust3d.attacks.outcomes import Outcomes
from robust3d.attacks.params import AutoAttackParams
from robust3d.attacks.parts import evaluate_in_parts
from robust3d.data.sets import save_set
from robust3d.errors import UserError
from robust3d.evaluate.duration import expected, in_words, measure
from robust3d.evaluate.images import Given, images_for
from robust3d.evaluate.networks import Network, open_network
from robust3d.evaluate.report import accuracy_lines, as_json, input_lines, warnings
from robust3d.files import cause, partial, publish
from robust3d.parsing import parse
from robust3d.progress import ProgressLine

BATCH_PX = 32 * 224**2  # of the images of a batch on a CPU: 2 GB for EfficientNet-Lite0
LARGEST_BATCH = 250
PART_BATCHES = 16  # in memory at once


def evaluate_checkpoint(arguments: argparse.Namespace) -> None:
    """Print clean and robust accuracies with the warning flags; write per-image outcomes if asked.

    Exits with 1 where the attacks say nothing about the model, so that its robust accuracies are not valid.

    Raises:
        UserError: the checkpoint, the images or a budget cannot be used.
    """
    params, talk = _params(arguments), sys.stderr if arguments.json else sys.stdout
    if arguments.outcomes:
        _check_place(arguments.outcomes)
    network = open_network(arguments.checkpoint, arguments.architecture, arguments.normalisation)
    given = images_for(network, arguments.images, arguments.resolution, arguments.resize)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = network.model.to(device)
    params = params.model_copy(update={"batch_size": _batch_size(arguments.batch_size, given, device)})
    _announce(arguments, network, given, params, talk)
    started, part = time.monotonic(), PART_BATCHES * params.batch_size
    try:
        _tell_duration(network, given, params, part, talk)
        outcomes = evaluate_in_parts(
            model,
            lambda first, after: _pixels(given, first, after, device),
            given.count,
            given.labels,
            params,
            part,
            lambda first: _progress(first, given.count),
        )
    except ValueError as error:
        raise UserError(f"{network.path} on {arguments.images}: {error}") from None
    seconds = time.monotonic() - started
    print("\n".join(accuracy_lines(outcomes, given)), file=talk, flush=True)
    if lines := warnings(outcomes, given):
        print("\n".join(lines), file=sys.stderr, flush=True)
    if arguments.json:
        result = as_json(outcomes, given, network, params, str(arguments.images), seconds)
        print(json.dumps(result, indent=1, ensure_ascii=False), flush=True)
    if arguments.outcomes:
        _save(outcomes, given, arguments.outcomes)
    if outcomes.flags.invalid:
        sys.exit(1)


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


def _batch_size(wanted: int | None, given: Given, device: str) -> int:
    """Images in a batch: as asked, or so that they fit the memory."""
    if wanted is not None and wanted < 1:
        raise UserError(f"--batch-size {wanted}: at least 1")
    fitting = LARGEST_BATCH if device == "cuda" else max(1, min(LARGEST_BATCH, BATCH_PX // given.side_px**2))
    return min(wanted or fitting, given.count)


def _announce(
    arguments: argparse.Namespace, network: Network, given: Given, params: AutoAttackParams, talk: TextIO
) -> None:
    """Say what will be done, before it takes time."""
    model = network.model
    left_out = f", keys without {network.prefix!r}" if network.prefix else ""
    kind = f"{given.count} images, {model.num_classes} classes, {model.architecture.name}{left_out}"
    lines = [f"{kind}, backend {params.backend}", *input_lines(network, str(arguments.images), given)]
    lines.append(f"labels                 {given.labelled_by}")
    budgets = ", ".join(label(params.norm, epsilon) for epsilon in params.epsilons)
    lines.append(f"attacks                {', '.join(params.attacks)} at {budgets}")
    print("\n".join(lines), file=talk, flush=True)


def _tell_duration(network: Network, given: Given, params: AutoAttackParams, part: int, talk: TextIO) -> None:
    """Time one batch and say how long all of it may take."""
    model, device = network.model, next(network.model.parameters()).device.type
    batch, parts = _pixels(given, 0, params.batch_size, device), -(-given.count // part)
    try:
        least, most = expected(measure(model, batch), given.count, parts, model.num_classes, params)
    except RuntimeError as error:  # of torch; too little memory above all
        hint = "a smaller --batch-size takes less memory"
        raise UserError(f"{network.path}: a batch of {len(batch)} images fails: {error}; {hint}") from None
    shown = in_words(least) if in_words(least) == in_words(most) else f"{in_words(least)} to {in_words(most)}"
    how = "an image takes less the sooner it falls"
    print(f"duration               {shown} on this {device}; {how}", file=talk, flush=True)


def _pixels(given: Given, first: int, after: int, device: str) -> Tensor:
    return given.read(first, after).to(device).float() / 255


def _progress(first: int, count: int) -> Progress:
    """Says now and then how far the attacks on one part are."""
    line = ProgressLine("evaluate")

    def tell(attack: str, epsilon: float, done: int, total: int) -> None:
        if line.due():
            line.shown = time.monotonic()
            line.say(f"images from {first + 1} of {count}: {attack}, {done} of {total} done")

    return tell


def _check_place(path: Path) -> None:
    """Refuse a place for the outcomes that cannot be written, before hours are spent on them."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        why = "a folder" if path.is_dir() else "no folder to write into" if path.parent.is_dir() else "no such folder"
        raise UserError(f"--outcomes {path}: {why}; name a Parquet file in a folder that can be written")


def _save(outcomes: Outcomes, given: Given, path: Path) -> None:
    frame = outcomes.to_frame()
    if given.files:
        frame.insert(1, "file", [given.files[image] for image in frame["image"]])
    temporary = partial(path)
    try:
        save_set(frame, temporary)
        publish(temporary, path)
    except OSError as error:
        raise UserError(f"--outcomes {path}: cannot be written ({cause(error)})") from None
    finally:
        temporary.unlink(missing_ok=True)
