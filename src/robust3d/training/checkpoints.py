"""Checkpoints: tensors in safetensors, the rest in JSON; two are kept, and reading checks their sha256."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from robust3d.files import partial, publish

KEPT = 2


@dataclass
class Checkpoint:
    """Everything that is needed to resume a run: named tensors and plain JSON values."""

    step: int  # optimiser steps done
    tensors: dict[str, Tensor]
    values: dict[str, Any] = field(default_factory=dict)


def _write(path: Path, content: bytes) -> None:
    temporary = partial(path)
    temporary.write_bytes(content)
    publish(temporary, path)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``step-N.safetensors`` and then ``step-N.json``, which makes it valid; drop all but two."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step-{checkpoint.step:09d}"
    tensors = save({key: value.detach().cpu().contiguous().clone() for key, value in checkpoint.tensors.items()})
    _write(folder / f"{name}.safetensors", tensors)
    values = {"step": checkpoint.step, "tensors_sha256": _sha256(tensors), **checkpoint.values}
    _write(
        folder / f"{name}.json",
        json.dumps({"values": values, "sha256": _sha256(_canonical(values))}).encode(),
    )
    kept = {path.stem for path in sorted(folder.glob("step-*.json"))[-KEPT:]}
    for path in [*folder.glob("step-*"), *folder.glob(".partial-*-step-*")]:
        if path.stem not in kept:  # older ones, and files left by a killed run
            path.unlink(missing_ok=True)


def load_checkpoint(folder: Path, report: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint whose two files match their sha256; None if there is none.

    A damaged one is reported, and the older one is used.
    """
    for path in sorted(folder.glob("step-*.json"), reverse=True):
        try:
            stored = json.loads(path.read_text())
            values = stored["values"]
            if stored["sha256"] != _sha256(_canonical(values)):
                raise ValueError("its values do not match their sha256")
            content = path.with_suffix(".safetensors").read_bytes()
            if values.pop("tensors_sha256") != _sha256(content):
                raise ValueError("its tensors do not match their sha256")
        except (OSError, ValueError, KeyError, TypeError) as error:
            report(f"checkpoint {path} is damaged ({error}); trying the one before it")
            continue
        return Checkpoint(step=values.pop("step"), tensors=load(content), values=values)
    return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _canonical(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True).encode()
