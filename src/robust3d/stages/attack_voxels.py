"""Attacks a classifier of voxels on its test volumes, and asks other classifiers about the same adversarial volumes."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.voxel_params import VoxelAttackParams
from robust3d.attacks.voxels import binarised, flip, iterative_fgsm, loss_gradient, quarter_turns, step_length
from robust3d.data.sets import save_set
from robust3d.data.volumes import VoxelData
from robust3d.data.voxel_sets import open_voxels
from robust3d.models.introspective.network import VoxelClassifier
from robust3d.models.introspective.saved import load_voxel_classifier
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

CLEAN = "none"


def run(job: "Context") -> None:
    """Write `outcomes`, a row per attack and volume with the answer of each classifier, and `metrics`."""
    params = parse(VoxelAttackParams, job.params["attack"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    volumes = open_voxels(job.input("voxels"), "test").to(device)
    attacked, info = load_voxel_classifier(job.input("classifier"), job.input("info"))
    judges = {
        name: load_voxel_classifier(job.named("classifier", name), job.named("info", name))[0].to(device)
        for name in job.params["judges"]
    }
    attacked = attacked.to(device)
    asked = {"prediction": attacked, **{f"by {name}": judge for name, judge in judges.items()}}
    frames, unfelt = [], 0
    for number, (index, labels) in enumerate(_batches(volumes, params.batch_size)):
        batch = volumes.volumes(index)[:, 0].float()
        gradient = loss_gradient(attacked, batch, labels)
        unfelt += int((gradient.flatten(1).abs().amax(1) == 0).sum())
        clean = {name: _answers(model, batch) for name, model in asked.items()}
        for facts, adversarial in attacks(attacked, batch, labels, params, gradient):
            # Small changes vanish when volumes are made voxels again.
            same = torch.equal(adversarial, batch)
            answers = clean if same else {name: _answers(model, adversarial) for name, model in asked.items()}
            frame = pd.DataFrame({"image": index.numpy(), "label": labels.cpu().numpy()})
            frames.append(frame.assign(**facts, **answers))
        print(f"batch {number + 1}: {len(frames)} outcomes", flush=True)
    metrics: dict[str, Any] = {"classifier": info, "attack": job.params["attack"], "volumes": len(volumes)}
    metrics["zero_gradients"] = unfelt  # volumes whose cross-entropy gives FGSM no direction
    if params.autoattack is not None:
        frame, metrics["autoattack"] = _autoattack(attacked, volumes, params)
        frames.append(frame)
    save_set(pd.concat(frames, ignore_index=True), job.outputs["outcomes"])
    job.write_json("metrics", metrics)


def _batches(volumes: VoxelData, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for index in torch.arange(len(volumes)).split(size):
        yield index, volumes.labels[index.to(volumes.labels.device)]


def _answers(model: VoxelClassifier, volumes: Tensor) -> np.ndarray:
    with torch.no_grad():
        answers: np.ndarray = model(volumes).argmax(1).cpu().numpy()
    return answers


def attacks(
    model: VoxelClassifier, volumes: Tensor, labels: Tensor, params: VoxelAttackParams, gradient: Tensor
) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Facts on each attack and its volumes (N, R, R, R), the clean ones first; `gradient`: of the loss at these."""

    def facts(
        attack: str, size: float = 0, reading: str = "", clip: bool = True, binary: bool = False
    ) -> dict[str, Any]:
        return {"attack": attack, "size": float(size), "reading": reading, "clip": clip, "binarised": binary}

    yield facts(CLEAN), volumes
    for clip in params.clips:
        for _, x in iterative_fgsm(model, volumes, labels, params.epsilon, (1,), clip, gradient):
            yield facts("FGSM", 1, "each", clip), x
            yield facts("FGSM", 1, "each", clip, True), binarised(x)
        for reading in params.readings:
            # Under "total" the length depends on the number of steps, so each number is a run of its own.
            groups = [(n,) for n in params.steps] if reading == "total" else [tuple(sorted(params.steps))]
            for steps in groups:
                length = step_length(reading, params.epsilon, max(steps))
                for n, x in iterative_fgsm(model, volumes, labels, length, steps, clip, gradient):
                    yield facts("I-FGSM", n, reading, clip), x
                    yield facts("I-FGSM", n, reading, clip, True), binarised(x)
    for budget, x in flip(model, volumes, labels, params.flips, params.flip_rounds).items():
        yield facts("flips", budget, binary=True), x
    if params.turns:
        yield facts("quarter turns", binary=True), quarter_turns(model, volumes, labels, params.up)


def _autoattack(
    model: VoxelClassifier, volumes: VoxelData, params: VoxelAttackParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Whether each volume was fooled within each budget, and how the attacks went."""
    assert params.autoattack is not None
    most = min(len(volumes), params.autoattack_shapes or len(volumes))
    index = np.unique(np.linspace(0, len(volumes) - 1, most).round().astype(np.int64))
    chosen = volumes.volumes(torch.from_numpy(index))[:, 0].float()
    labels = volumes.labels[torch.from_numpy(index).to(volumes.labels.device)]
    outcomes = evaluate(model, chosen, labels, params.autoattack, image_ids=index.tolist())
    frames = [
        pd.DataFrame(
            {"image": index, "label": labels.cpu().numpy(), "attack": "AutoAttack", "size": float(epsilon)}
        ).assign(reading="", clip=True, binarised=False, robust=robust)
        for epsilon, robust in zip(outcomes.epsilons, outcomes.robust.T)
    ]
    facts = {"flags": asdict(outcomes.flags), "clean_accuracy": outcomes.clean_accuracy, "volumes": len(index)}
    return pd.concat(frames, ignore_index=True), facts
