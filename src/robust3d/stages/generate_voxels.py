"""The shapes that a network synthesised in its introspective training, as every generator writes them."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.data.generated import JOINT, write_generated
from robust3d.data.negatives import last_iteration, read_negatives
from robust3d.errors import UserError
from robust3d.parsing import parse
from robust3d.training.introspection.params import VoxelTrainingParams

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `generated`: of the last iterations of the last cascade the first samples, equally many of each."""
    info = json.loads(job.input("info").read_text(encoding="utf-8"))
    training = parse(VoxelTrainingParams, info["training"])
    wanted, samples = job.params["iterations"], job.params["samples"]
    last = last_iteration(job.input("negatives"))
    first = max(last - training.cascade_iterations, last - wanted) + 1
    found = read_negatives(job.input("negatives"), range(first, last + 1), -(-samples // (last + 1 - first)))
    if not len(found.labels):
        raise UserError(f"{job.input('info')}: this training synthesised nothing; name one that does")
    notices = list(info["notices"])
    if last + 1 - first < wanted:
        notices.append(f"samples of {last + 1 - first} iterations, for the last cascade has no more than these")
    if len(found.labels) < samples:
        notices.append(f"{len(found.labels)} samples in place of {samples}: the training synthesised no more")
    write_generated(
        job.outputs["generated"],
        found.volumes,
        _labels(info, found.labels),
        info["classes"],
        found.iterations,
        job.params["threshold"],
        method="introspective",
        category=info["category"],
        seed=training.seed,
        collapse=info["collapse"],
        notices=notices,
        **{name: info[name] for name in ("training", "training_volumes", "passes", "steps", "synthesis", "resolution")},
    )


def _labels(info: dict[str, Any], labels: np.ndarray) -> np.ndarray:
    """The class of each sample: of a supervised training its own, else the training's one category or none."""
    if info["training"]["supervised"]:
        return labels
    label = JOINT if info["category"] is None else info["classes"].index(info["category"])
    return np.full(len(labels), label)
