"""Attacks a classifier's test images with AutoAttack over a grid of budgets, from which tables and curves are made."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from robust3d.architectures import architecture
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.checks import Flags
from robust3d.attacks.outcomes import Cost, SweepState
from robust3d.attacks.params import AutoAttackParams
from robust3d.data.images import load_images
from robust3d.data.params import SetParams
from robust3d.data.sets import save_set
from robust3d.models.classifier import load_classifier
from robust3d.study.parsing import parse
from robust3d.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

EVERY_S = 60.0  # so much attacking is lost at most, and the running batch, when a job is killed


class Keeper:
    """Keeps the state of a sweep on disk, so that a stopped one goes on; a killed one loses a minute."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.saved, self.batches = folder, time.monotonic(), 0
        self.state: SweepState | None = None

    def found(self) -> SweepState | None:
        """The state that an earlier attempt has left."""
        checkpoint = load_checkpoint(self.folder, lambda text: print(text, file=sys.stderr))
        if checkpoint is None:
            return None
        self.batches = checkpoint.step
        print(f"going on after {self.batches} batches", file=sys.stderr)
        cost = {name: Cost(**values) for name, values in checkpoint.values["cost"].items()}
        return SweepState(checkpoint.values["attack"], checkpoint.tensors, cost, Flags(**checkpoint.values["flags"]))

    def keep(self, state: SweepState) -> None:
        """Take the newest state; write it when the last one is a minute old."""
        self.state, self.batches = state, self.batches + 1
        if time.monotonic() - self.saved >= EVERY_S:
            self.save()

    def save(self) -> None:
        """Write the newest state, if there is one that is not written."""
        if self.state is None:
            return
        cost = {name: asdict(value) for name, value in self.state.cost.items()}
        values = {"attack": self.state.attack, "cost": cost, "flags": asdict(self.state.flags)}
        save_checkpoint(self.folder, Checkpoint(self.batches, self.state.tensors, values))
        self.saved, self.state = time.monotonic(), None


def run(job: "Context") -> None:
    """Write `outcomes`, one row an image and budget, and `metrics`."""
    params = parse(AutoAttackParams, job.params["attack"])
    image_set = parse(SetParams, job.params["set"])
    info = json.loads(job.input("classifier_info").read_text())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_classifier(
        job.input("classifier"), architecture(info["architecture"]), len(info["classes"]), info["normalisation"]
    ).to(device)
    files = job.input("set"), job.input("views"), job.optional("textures")
    images, labels, rows = load_images(*files, image_set, "test")
    pixels = images.to(device).float() / 255
    keeper = Keeper(job.progress)
    try:
        outcomes = evaluate(model, pixels, labels.to(device), params, start=keeper.found(), keep=keeper.keep)
    except SystemExit:
        keeper.save()
        raise

    frame = outcomes.to_frame()
    names = rows[["class_name", "instance", "view"]].iloc[frame["image"].to_numpy()].reset_index(drop=True)
    save_set(pd.concat([frame, names], axis=1), job.outputs["outcomes"])
    robust = {
        f"{epsilon:.6g}": {"epsilon": epsilon, "robust": int(column.sum()), "accuracy": float(column.mean())}
        for epsilon, column in zip(outcomes.epsilons, outcomes.robust.T)
    }
    metrics = {
        "images": len(images),
        "clean_accuracy": outcomes.clean_accuracy,
        "robust": robust,
        "sanity": {"epsilon": outcomes.sanity_epsilon, "accuracy": outcomes.sanity_accuracy},
        "flags": asdict(outcomes.flags),
        "passes": {
            name: {"forwards": cost.forwards, "backwards": cost.backwards} for name, cost in outcomes.cost.items()
        },
        "attack": job.params["attack"],
        "classifier": info,
    }
    job.write_json("metrics", metrics)
