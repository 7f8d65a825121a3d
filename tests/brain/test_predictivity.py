"""Scores of synthetic sites whose best possible score is known, their ceilings, splits, and differences."""

import numpy as np
import pytest
from scipy import stats

from robust3d.brain import ceilings, predictivity, splits
from robust3d.brain.assembly import assembled
from robust3d.brain.differences import paired_difference
from robust3d.brain.synthetic import edges_and_classes, synthetic_assembly
from robust3d.errors import UserError

IMAGES = 500


def factors(count=12):
    return np.random.default_rng(0).standard_normal((IMAGES, count))


def made(reliability=0.8, repetitions=10, sites=40, source=None):
    names = [f"image{i:03d}" for i in range(IMAGES)]
    region = {"IT": factors() if source is None else source}
    return synthetic_assembly(region, names, [f"g{i % 8}" for i in range(IMAGES)], sites, repetitions, reliability, 3)


@pytest.mark.parametrize("reliability", [0.5, 0.9])
def test_the_true_features_reach_the_root_of_the_reliability(reliability):
    features = factors() @ np.random.default_rng(1).standard_normal((12, 60))
    scores = predictivity.site_scores(features, made(reliability).means(), splits.folds(IMAGES, 10, 0), 12)
    assert scores.shape == (10, 80)
    assert np.median(scores, 1).mean() == pytest.approx(np.sqrt(reliability), abs=0.02)


def test_noise_predicts_nothing_and_part_of_the_truth_predicts_a_part():
    responses, parts = made().means(), splits.folds(IMAGES, 10, 0)
    noise = np.random.default_rng(2).standard_normal((IMAGES, 60))
    assert abs(np.median(predictivity.site_scores(noise, responses, parts, 10), 1).mean()) < 0.05
    half = predictivity.site_scores(factors()[:, :6], responses, parts, 6)
    assert 0.4 < np.median(half, 1).mean() < 0.8


@pytest.mark.parametrize("reliability", [0.3, 0.6, 0.9])
def test_the_ceiling_is_the_reliability_of_the_mean(reliability):
    found = ceilings.reliabilities(made(reliability), 10, 0)
    assert np.median(found, 1).mean() == pytest.approx(reliability, abs=0.02)
    assert np.median(ceilings.ceiling(made(reliability, 5))) == pytest.approx(reliability, abs=0.03)  # 3 and 2 of 5


def test_spearman_brown_and_explained_variance_by_hand():
    assert ceilings.spearman_brown([0.5, 0, 1, -1]).tolist() == [2 / 3, 0, 1, -np.inf]
    assert ceilings.explained([0.6, -0.6, 0.3], [0.9, 0.9, 0]).tolist()[:2] == pytest.approx([0.4, -0.4])
    assert np.isnan(ceilings.explained(0.3, 0.0))


def test_correlations_are_pearsons_and_a_constant_has_none():
    a, b = np.random.default_rng(0).standard_normal((2, 30, 3))
    a[:, 2] = 0.1
    found = predictivity.correlations(a, b)
    assert found[:2] == pytest.approx([stats.pearsonr(a[:, i], b[:, i])[0] for i in (0, 1)]) and found[2] == 0


def test_an_image_without_repetitions_has_no_ceiling():
    assembly = made(repetitions=1)
    with pytest.raises(UserError, match=r"500 of 500 images were shown once, such as image000.* single trials"):
        ceilings.ceiling(assembly)


def test_the_order_of_presentations_changes_nothing():
    assembly = made(sites=3)
    order = np.random.default_rng(5).permutation(len(assembly.shown))
    stimuli = [assembly.stimuli[place] for place in assembly.shown[order]]
    groups = [assembly.groups[place] for place in assembly.shown[order]]
    labels = (assembly.sites, assembly.regions, assembly.animals)
    again = assembled("shuffled", assembly.trials[order], stimuli, groups, *labels)
    assert np.allclose(again.means(), assembly.means()) and again.groups == assembly.groups
    wanted = list(assembly.stimuli[::-7])
    assert np.allclose(again.of(wanted).means(), assembly.means()[::-7])


def test_halves_share_no_presentation_and_weigh_back_to_the_mean():
    assembly = made(repetitions=5, sites=2)
    first, second = assembly.halves(np.random.default_rng(0))
    assert np.allclose((3 * first + 2 * second) / 5, assembly.means())


def test_what_an_assembly_cannot_hold_is_said():
    trials = np.arange(12.0).reshape(6, 2)
    good = ("a.nc", trials, list("aabbcc"), list("xxyyzz"), ["1", "2"], ["IT", "V4"], ["m", "m"])
    assembly = assembled(*good)
    assert assembly.in_region("V4").means().tolist() == [[2], [6], [10]]
    with pytest.raises(UserError, match=r"a.nc: no site in region 'V1'; there are IT, V4"):
        assembly.in_region("V1")
    with pytest.raises(UserError, match=r"a.nc: 1 of 2 images have no response, such as 'q'; it has 'a'"):
        assembly.of(["a", "q"])
    with pytest.raises(UserError, match="two sites have the same id"):
        assembled(*good[:4], ["1", "1"], *good[5:])
    with pytest.raises(UserError, match="image b is in two groups"):
        assembled(*good[:3], list("xxyqzz"), *good[4:])
    with pytest.raises(UserError, match="1 responses are not finite, the first of site 2 to b; leave"):
        assembled("a.nc", np.where(trials == 7, np.nan, trials), *good[2:])
    flat, left = assembled("a.nc", trials * [1, 0], *good[2:]).without_constant_sites()
    assert flat.sites == ("1",) and left == 1


def test_folds_test_each_image_once_and_shuffles_keep_the_groups():
    parts = splits.folds(103, 10, 0)
    assert sorted(np.concatenate([part.test for part in parts]).tolist()) == list(range(103))
    assert all(len(set(part.fit) & set(part.test)) == 0 and len(part.fit) + len(part.test) == 103 for part in parts)
    groups = ["a"] * 40 + ["b"] * 20
    for part in splits.splits_of("brainscore", groups, 0):
        assert [sum(groups[i] == name for i in part.test) for name in "ab"] == [4, 2] and len(part.fit) == 54
    with pytest.raises(UserError, match="group 'c' has one image"):
        splits.shuffled([*groups, "c"], 10, 0.9, 0)
    with pytest.raises(UserError, match="folds: 10 of 4 images"):
        splits.folds(4, 10, 0)


def test_the_layer_with_the_truth_is_chosen():
    noise = np.random.default_rng(2).standard_normal((IMAGES, 12))
    layers = {"early": noise, "late": factors() + 0.2 * noise, "last": factors() + 2 * noise}
    chosen = predictivity.choose_layer(layers, made(sites=5).means(), splits.folds(IMAGES, 5, 0), 10)
    assert chosen.layer == "late" and chosen.selection["early"] < chosen.selection["last"] < chosen.selection["late"]


def test_a_projection_keeps_squared_distances_on_average():
    x = np.random.default_rng(0).standard_normal((30, 4000))
    ratio = []
    for seed in range(4):
        projected = x @ predictivity.projection(4000, 600, seed)
        ratio.append(((projected[:15] - projected[15:]) ** 2).sum(1) / ((x[:15] - x[15:]) ** 2).sum(1))
    assert np.mean(ratio) == pytest.approx(1, abs=0.03) and np.std(ratio) < 0.1
    assert predictivity.projection(600, 600, 0) is None


def test_a_score_is_the_mean_over_splits_of_medians():
    scores = np.array([[0.1, 0.3, 0.5, 0.4], [0.3, 0.5, 0.9, 0.4]])
    found = predictivity.score(scores, 0)
    assert found.value == pytest.approx((0.35 + 0.45) / 2) and found.low < found.value < found.high
    assert found.split_error == pytest.approx(0.05) and found.sites == 4


def test_a_difference_across_sites_and_animals():
    generator = np.random.default_rng(0)
    theirs = generator.uniform(0.2, 0.6, 60)
    animals = ["a"] * 30 + ["b"] * 30
    better = paired_difference(theirs + 0.05 + 0.02 * generator.standard_normal(60), theirs, animals, 0)
    assert better.low > 0.03 and better.p_sites < 0.001 and better.same_sign
    assert better.p_animals == 0.5  # of two animals, nothing smaller is possible
    none = [paired_difference(theirs + 0.02 * generator.standard_normal(60), theirs, animals, s) for s in range(40)]
    assert sum(one.p_sites < 0.05 for one in none) <= 7  # more with a probability of 0.0014
    mixed = paired_difference(theirs + np.repeat([0.05, -0.05], 30), theirs, animals, 0)
    assert not mixed.same_sign and mixed.p_animals == 1
    with pytest.raises(UserError, match="cannot be paired"):
        paired_difference(theirs[:5], theirs, animals, 0)


def test_synthetic_regions_know_edges_and_classes_apart():
    images = np.random.default_rng(0).integers(0, 255, (40, 3, 32, 32)).astype(np.uint8)
    sources = edges_and_classes(images, ["a", "b"] * 20, 0)
    assert sources["V4"].shape == (40, 128) and len(np.unique(sources["IT"], axis=0)) == 2
    moved = edges_and_classes(images[:, :, ::-1], ["a", "b"] * 20, 0)
    assert (moved["IT"] == sources["IT"]).all() and not np.allclose(moved["V4"], sources["V4"])


def test_a_split_too_small_and_a_constant_site_are_said():
    features = factors()[:20]
    with pytest.raises(UserError, match="a split has 2 test images"):
        predictivity.site_scores(features, features, splits.folds(20, 10, 0), 3)
    with pytest.raises(UserError, match="site 1 answers every image alike"):
        predictivity.site_scores(features, features * [1, 0, *[1] * 10], splits.folds(20, 4, 0), 3)
