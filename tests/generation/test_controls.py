"""Volumes that generators are compared with."""

import numpy as np
from scipy import stats

from robust3d.generation.controls import independent, mean_shape, noise


def test_noise_fills_as_many_voxels_as_the_normal_distribution_says():
    volumes = noise(40, 16, 0.5, 0, "chair")
    assert volumes.shape == (40, 16, 16, 16)
    assert abs(volumes.mean() - stats.norm.sf(0.5)) < 5 * 0.5 / volumes.size**0.5
    assert (volumes == noise(40, 16, 0.5, 0, "chair")).all() and (volumes != noise(40, 16, 0.5, 0, "bed")).any()


def test_independent_voxels_have_the_frequencies_of_the_volumes():
    real = np.zeros((4, 3, 3, 3), np.uint8)
    real[:, 0], real[:1, 1, 1, 1] = 1, 1
    made = independent(real, 4000, 0, "chair").mean(0)
    assert (made[0] == 1).all() and (made[2] == 0).all() and made[1].sum() == made[1, 1, 1]
    assert abs(made[1, 1, 1] - 0.25) < 0.04


def test_the_mean_shape_has_the_most_frequent_voxels_and_the_mean_size():
    real = np.zeros((4, 2, 2, 2), np.uint8)
    real[:, 0, 0, 0] = 1  # in all
    real[:3, 0, 0, 1] = 1
    real[:1, 1, 1, 1] = 1
    assert np.argwhere(mean_shape(real)[0]).tolist() == [[0, 0, 0], [0, 0, 1]]  # two voxels a volume
    assert mean_shape(real).shape == (1, 2, 2, 2) and not mean_shape(np.zeros_like(real)).any()
