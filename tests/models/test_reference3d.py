"""The reference classifier of volumes: the published sizes, its grid, its training."""

import numpy as np
import pytest
import torch

from robust3d.data.volumes import VoxelData
from robust3d.models.reference3d import Reference3D, describe, fitted
from robust3d.training.loop import train
from robust3d.training.reference3d.params import ReferenceParams
from robust3d.training.reference3d.task import ReferenceTask, jittered


def test_its_features_are_the_4096_of_the_publication() -> None:
    network = Reference3D(40).eval()
    assert network.feature_dim == 4096
    features, chances = describe(network, [torch.ones(2, 1, 32, 32, 32)])
    assert features.shape == (2, 4096) and chances.shape == (2, 40)
    assert chances.sum(1) == pytest.approx([1, 1])


@pytest.mark.parametrize("side", [16, 24, 32])
def test_bars_of_one_voxel_survive_in_its_grid(side: int) -> None:
    volume = torch.zeros(1, 1, side, side, side)
    volume[0, 0, 0, side // 3, :] = 1
    seen = fitted(volume)[0, 0]
    assert seen.shape == (30, 30, 30) and set(seen.unique().tolist()) == {0, 1}
    assert seen[3:27, 3:27, 3:27].any(0).any(0).all()  # along all of the bar
    assert seen.sum() == seen[3:27, 3:27, 3:27].sum()
    assert seen[3].any() and not seen[6:].any()


def test_24_voxels_are_only_padded() -> None:
    volume = torch.rand(1, 1, 24, 24, 24).round()
    assert torch.equal(fitted(volume)[..., 3:27, 3:27, 3:27], volume)


def test_jitter_shifts_by_whole_voxels_and_loses_what_leaves() -> None:
    volumes = torch.zeros(200, 1, 6, 6, 6)
    volumes[:, 0, 3, 3, 5] = 1
    moved = jittered(volumes, 2, torch.Generator().manual_seed(0))
    left = moved.sum((1, 2, 3, 4))
    assert set(left.tolist()) == {0, 1}
    places = moved[left == 1].nonzero()[:, 2:]
    assert places.amin(0).tolist() == [1, 1, 3] and places.amax(0).tolist() == [5, 5, 5]


def test_it_learns_two_classes_and_ends_with_the_same_weights_again() -> None:
    rng = np.random.default_rng(0)
    volumes = rng.random((40, 8, 8, 8)) > 0.9
    volumes[::2, :4] = False
    volumes[1::2, 4:] = False
    data = VoxelData.of(volumes, np.arange(40) % 2, ("a", "b"))
    params = ReferenceParams(width=0.1, epochs=8, batch_size=8, learning_rate=0.05, jitter=1, validate_epochs=4)
    weights = []
    for _ in range(2):
        task = ReferenceTask(data, data, params)
        history = train(task, params.loop(len(data)), 0)
        weights.append(task.module.state_dict())
    assert history.selected["validation"] == {"accuracy": 1.0, "chance": 0.5}
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
