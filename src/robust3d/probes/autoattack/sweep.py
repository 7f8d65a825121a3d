"""Attacks on a classifier's test images; a restarted job resumes where the killed one stopped."""

import sys
import time
from dataclasses import asdict
from pathlib import Path

from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.checks import Flags
from robust3d.attacks.outcomes import Cost, SweepState
from robust3d.attacks.params import AutoAttackParams
from robust3d.probes import Findings, Subject
from robust3d.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint

EVERY_S = 60.0  # seconds between saves: a killed job loses at most this and the running batch


class Keeper:
    """Saves the state of a sweep to disk: a stopped sweep resumes exactly, a killed one loses a minute."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.saved, self.batches = folder, time.monotonic(), 0
        self.state: SweepState | None = None

    def found(self) -> SweepState | None:
        """The state saved by an earlier attempt, if any."""
        checkpoint = load_checkpoint(self.folder, lambda text: print(text, file=sys.stderr))
        if checkpoint is None:
            return None
        self.batches = checkpoint.step
        print(f"going on after {self.batches} batches", file=sys.stderr)
        cost = {name: Cost(**values) for name, values in checkpoint.values["cost"].items()}
        return SweepState(checkpoint.values["attack"], checkpoint.tensors, cost, Flags(**checkpoint.values["flags"]))

    def keep(self, state: SweepState) -> None:
        """Take the newest state; write it if the last one is a minute old."""
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


def attack(params: AutoAttackParams, subject: Subject) -> Findings:
    """One row per image and budget; the metrics have the accuracy at each budget."""
    images = subject.images("set")
    pixels = images.all().float() / 255
    keeper = Keeper(subject.progress)
    try:
        outcomes = evaluate(subject.model, pixels, images.labels, params, start=keeper.found(), keep=keeper.keep)
    except SystemExit:
        keeper.save()
        raise
    robust = {
        str(epsilon): {"epsilon": epsilon, "robust": int(column.sum()), "accuracy": float(column.mean())}
        for epsilon, column in zip(outcomes.epsilons, outcomes.robust.T)
    }
    metrics = {
        "images": len(pixels),
        "clean_accuracy": outcomes.clean_accuracy,
        "robust": robust,
        "sanity": {"epsilon": outcomes.sanity_epsilon, "accuracy": outcomes.sanity_accuracy},
        "flags": asdict(outcomes.flags),
        "passes": {
            name: {"forwards": cost.forwards, "backwards": cost.backwards} for name, cost in outcomes.cost.items()
        },
        "attack": params.model_dump(mode="json"),
    }
    return Findings(metrics, outcomes.to_frame().assign(images="set"))
