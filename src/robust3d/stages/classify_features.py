"""Classifies volumes by a linear machine on the last convolution of an unsupervised network, and on two controls."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from robust3d.data.sets import save_set
from robust3d.data.volumes import VoxelData
from robust3d.data.voxel_sets import open_voxels
from robust3d.generation.linear_svm import fit, predict
from robust3d.generation.params import SvmParams
from robust3d.models.introspective.network import IntrospectiveNetwork, VoxelClassifier
from robust3d.models.introspective.params import NetworkParams
from robust3d.models.introspective.saved import load_voxel_classifier
from robust3d.parsing import parse

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

BATCH = 128


def run(job: "Context") -> None:
    """Write `outcomes`, for each kind of features a row a test volume, and `metrics`."""
    params = parse(SvmParams, job.params["svm"])
    trained, info = load_voxel_classifier(job.input("classifier"), job.input("info"))
    network = parse(NetworkParams, info["training"]["network"])
    fresh = VoxelClassifier(
        IntrospectiveNetwork(network, trained.network.outputs, info["training"]["seed"]), trained.mean
    )
    networks = {"trained": trained, "untrained": fresh.eval(), "voxels": None}
    train, test = (open_voxels(job.input("voxels"), split) for split in ("train", "test"))
    frames, dimensions = [], {}
    for name, model in networks.items():
        known, asked = (_features(model, data, params) for data in (train, test))
        weights = fit(known, train.labels.numpy(), len(train.classes), params.penalty)
        frame = pd.DataFrame({"image": range(len(test)), "label": test.labels.numpy(), "features": name})
        frames.append(frame.assign(prediction=predict(weights, asked)))
        dimensions[name] = known.shape[1]
        print(f"{name}: {dimensions[name]} features", flush=True)
    outcomes = pd.concat(frames, ignore_index=True)
    save_set(outcomes, job.outputs["outcomes"])
    right = (outcomes["prediction"] == outcomes["label"]).groupby(outcomes["features"]).mean()
    metrics = {"accuracy": right.to_dict(), "dimensions": dimensions, "network": info, "svm": job.params["svm"]}
    job.write_json("metrics", metrics)


def _features(model: VoxelClassifier | None, data: VoxelData, params: SvmParams) -> NDArray[np.float64]:
    """Features (N, D) of all volumes; without a model their voxels."""
    if model is None:
        return data.volumes().flatten(1).double().numpy()
    with torch.no_grad():
        parts = [last_convolution(model, volumes.float(), params) for volumes, _ in data.batches(BATCH)]
    return torch.cat(parts).double().numpy()


def last_convolution(model: VoxelClassifier, volumes: Tensor, params: SvmParams) -> Tensor:
    """Activations (N, D) of the last convolution for volumes (N, 1, R, R, R)."""
    if params.features == "pooled":
        return model.features(volumes)
    maps: list[Tensor] = []
    hook = model.network.norms[-1].register_forward_hook(lambda module, inputs, output: maps.append(output))
    try:
        model.features(volumes)
    finally:
        hook.remove()
    return functional.leaky_relu(maps[0], model.network.params.slope).flatten(1)
