"""How many samples are compared, and which."""

import numpy as np

from robust3d.generation.samples import common, drawn


def test_all_sets_have_the_number_of_the_smallest_that_has_enough():
    found = common({"a": 520, "b": 130, "c": 390}, least=20, most=1000)
    assert found.count == 130 and not found.short
    assert common({"a": 520, "b": 130}, least=20, most=40).count == 40
    found = common({"a": 520, "b": 19, "c": 390}, least=20, most=1000)
    assert found.count == 390 and found.short == {"b": "19 samples, fewer than 20"}
    assert common({"b": 19}, least=20, most=1000).count == 0
    nothing = common({"a": 5}, least=2, most=1)
    assert nothing.count == 0 and nothing.short == {"a": "1 real volumes to compare with, fewer than 2"}


def test_equal_shares_of_every_group_are_drawn_once():
    groups = np.repeat([7, 8, 9], [50, 10, 30])
    places = drawn(groups, 30, np.random.default_rng(0))
    assert len(set(places.tolist())) == 30 and np.bincount(groups[places])[7:].tolist() == [10, 10, 10]
    few = drawn(groups, 35, np.random.default_rng(0))
    shares = np.bincount(groups[few])[7:]
    assert shares[1] == 10 and sorted(shares[[0, 2]]) == [12, 13]  # a group with fewer is taken whole


def test_one_group_is_drawn_uniformly():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[drawn(np.zeros(20, int), 5, np.random.default_rng(seed))] += 1
    assert np.abs(counts - 500).max() < 5 * (2000 * 0.25 * 0.75) ** 0.5  # binomial: 5 standard deviations
