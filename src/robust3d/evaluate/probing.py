"""`robust3d probe`: any probe of one image set on a published classifier, a file of one's own, or a model made here."""

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from robust3d import registry
from robust3d.data import imagenet
from robust3d.data.images import ImageData
from robust3d.data.sets import save_set
from robust3d.errors import UserError
from robust3d.evaluate.images import Given, images_for
from robust3d.evaluate.networks import Network, open_network
from robust3d.evaluate.report import input_lines
from robust3d.files import cause
from robust3d.parsing import parse
from robust3d.probes import Findings, Subject
from robust3d.study.yaml_text import parse_yaml
from robust3d.tables.statistics import interval

_MOST_LINES = 40


def probe_checkpoint(arguments: argparse.Namespace) -> None:
    """Print what the probe finds; write metrics.json and outcomes.parquet if asked.

    Raises:
        UserError: the probe, its parameters, the checkpoint, the images or the output folder cannot be used.
    """
    module = registry.load("probe", arguments.probe)
    if (needed := registry.probe_sets(arguments.probe)) != ("set",):
        raise UserError(f"--probe {arguments.probe}: it reads the sets {', '.join(needed)}, and this command gives one")
    if not arguments.images.exists():
        raise UserError(f"--images {arguments.images}: no such file or folder")
    if arguments.out:
        _check_place(arguments.out)
    network = open_network(arguments.checkpoint, arguments.architecture, arguments.normalisation)
    params = _params(arguments, module, network.model.num_classes)
    any_classes = getattr(module, "ANY_CLASSES", False)
    given = images_for(network, arguments.images, arguments.resolution, arguments.resize, any_classes)
    if given.labels is None and not any_classes:
        raise UserError(f"{arguments.images}: pictures without labels; {arguments.probe} needs a folder for each class")
    classes = _class_names(network, given)
    images = _as_set(given, tuple(sorted(set(given.class_names))) if any_classes else classes)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = network.model.to(device)
    _announce(arguments, network, given, params)
    with tempfile.TemporaryDirectory() as progress:
        subject = Subject(
            model,
            classes,
            device,
            lambda _: images.to(device),
            Path(progress),
            training_images=partial(_refuse, arguments),
        )
        found: Findings = module.probe(params, subject)
    print("\n".join(metric_lines(found)))
    if arguments.out:
        _save(arguments.out, found, images, _facts(arguments, network, given, params))
        print(f"{arguments.out}: metrics.json, outcomes.parquet")


def _params(arguments: argparse.Namespace, module: Any, classes: int) -> Any:
    """The probe's parameters: as given, and Geirhos' sixteen classes as the answers of a classifier of ImageNet."""
    values: dict[str, Any] = {}
    if "answers" in module.Params.model_fields and classes == imagenet.CLASSES:
        values["answers"] = "imagenet16"
    for text in arguments.params:
        key, sign, value = text.partition("=")
        if not sign or not key.isidentifier():
            raise UserError(f"--params {text}: expected KEY=VALUE, such as batch_size=50")
        values |= parse_yaml(f"{key}: {value}", f"--params {text}")
    try:
        return parse(module.Params, values)
    except ValueError as error:
        known = ", ".join(module.Params.model_fields)
        raise UserError(f"--params: {error} ({arguments.probe} has {known})") from None


def _refuse(arguments: argparse.Namespace, name: str) -> ImageData:
    raise UserError(f"--probe {arguments.probe}: it fits something to training images, and this command gives none")


@dataclass(frozen=True)
class _Pictures(ImageData):
    """Images of a user's, read as they are asked for."""

    def all(self) -> torch.Tensor:
        """All images (N, 3, H, W) uint8: only some probes need them at once."""
        return self.batch(torch.arange(len(self)))


def _as_set(given: Given, classes: tuple[str, ...]) -> ImageData:
    """The images as a probe reads them, with the classes that their labels count."""
    files = given.files or tuple(map(str, range(given.count)))
    names = given.class_names or ("",) * given.count
    rows = pd.DataFrame({"class_name": names, "instance": files, "view": 0, "texture": ""})

    def read(places: np.ndarray) -> torch.Tensor:
        return torch.cat([given.read(place, place + 1) for place in places.tolist()])

    labels = given.labels if given.labels is not None else torch.zeros(given.count, dtype=torch.int64)
    return _Pictures(labels, read, given.side_px, rows, classes, notices=given.notices)


def _class_names(network: Network, given: Given) -> tuple[str, ...]:
    """The classifier's: as described beside it, those of ImageNet, those of the folders, or numbers."""
    count = network.model.num_classes
    if network.classes:
        return network.classes
    if count == imagenet.CLASSES:
        return imagenet.synsets()
    folders = sorted(set(given.class_names))
    return tuple(folders) if len(folders) == count else tuple(map(str, range(count)))


def _announce(arguments: argparse.Namespace, network: Network, given: Given, params: Any) -> None:
    model = network.model
    shown = ", ".join(f"{key}={value}" for key, value in params.model_dump(mode="json").items())
    lines = [f"probe                  {arguments.probe} ({shown})"]
    lines.append(f"classifier             {model.architecture.name}, {model.num_classes} classes")
    lines += input_lines(network, f"{given.count} of {arguments.images}", given)
    print("\n".join([*lines, *(f"warning: {notice}" for notice in given.notices)]), flush=True)


def metric_lines(found: Findings) -> list[str]:
    """The single numbers among the metrics, of two levels at most, and the 95 % interval of the shape share."""
    lines: list[str] = []
    for name, value in found.metrics.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, one in inner:
            if one is None or isinstance(one, bool | int | float | str):
                text = "none" if one is None else f"{one:.4f}" if isinstance(one, float) else str(one)
                lines.append(f"{' '.join(filter(None, (name, str(key)))):38} {text}")
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES} more in metrics.json (--out)"]
    if "decision" in found.outcomes:
        decided = found.outcomes.loc[found.outcomes["decision"].isin(["shape", "texture"]), "decision"]
        if len(decided):
            bounds = interval([(decided == "shape").to_numpy()])
            lines.append(
                f"{'shape_share is between':38} {bounds['low']:.4f} and {bounds['high']:.4f} (95 % over images)"
            )
    return lines


def _facts(arguments: argparse.Namespace, network: Network, given: Given, params: Any) -> dict[str, Any]:
    return {
        "probe": arguments.probe,
        "params": params.model_dump(mode="json"),
        "classifier": {
            "architecture": network.model.architecture.name,
            "classes": network.model.num_classes,
            "normalisation": network.model.normalisation,
            "weights": str(network.path),
            "sha256": network.sha256,
        },
        "images": {"path": str(arguments.images), "number": given.count, "preparation": given.preparation},
    }


def _check_place(out: Path) -> None:
    """Refuse a folder that cannot be written, before time is spent."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"--out {out}: is there already; name a new or empty folder")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK | os.X_OK):
        raise UserError(f"--out {out}: {out.parent} is no folder that can be written")


def _save(out: Path, found: Findings, images: ImageData, facts: dict[str, Any]) -> None:
    """Write the folder, complete or not at all."""
    files = images.rows["instance"].to_numpy()
    outcomes = found.outcomes.assign(file=files[found.outcomes["image"].to_numpy()])
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            made = Path(folder) / "made"
            made.mkdir()
            save_set(outcomes, made / "outcomes.parquet")
            text = json.dumps({**facts, "metrics": found.metrics}, indent=1, ensure_ascii=False)
            (made / "metrics.json").write_text(text + "\n", encoding="utf-8")
            os.replace(made, out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({cause(error)})") from None
