"""Scores of sets of different sizes, as the reference network would see them: against closed forms."""

import numpy as np
import pytest

from robust3d.data.generated import JOINT
from robust3d.generation.params import ALL, CATEGORIES, JudgeParams
from robust3d.stages.judge_voxels import Described, Judge

CLASSES = tuple("abcdefghijklm")
K, REAL, MADE, WIDTH = len(CLASSES), 30, 130, 8
FAR = 1e4


def described(labels, features, chances=None, joint=True, **facts):
    """Volumes of `labels`, which the network knows with certainty unless `chances` says else."""
    labels = np.asarray(labels)
    chances = np.eye(K)[labels] if chances is None else chances
    return Described(labels, features, chances, np.zeros_like(labels), joint=joint, **facts)


def gaussian(count, seed, shift=0.0):
    return np.random.default_rng(seed).standard_normal((count, WIDTH)) + shift


def judge(seed=0, **more):
    """Controls of 13 classes: 40 volumes of each of noise, 30 held-out ones, and one mean shape."""
    each = np.arange(K)
    sets = {
        "noise": described(each.repeat(40), gaussian(40 * K, 1, FAR), np.full((40 * K, K), 1 / K)),
        "mean": described(each, gaussian(K, 2), sampled=False),
        "held-out": described(each.repeat(REAL), gaussian(REAL * K, 3)),
    }
    train = described(each.repeat(120), gaussian(120 * K, 4))
    return Judge(JudgeParams(), CLASSES, each, ["a", "b", "c"], seed, train, sets | more)


def joint(count=MADE, shift=0.0, seed=5):
    """Samples of a generator of all classes, each with the same probability."""
    classes = np.random.default_rng(seed).integers(0, K, count)
    return described(np.full(count, JOINT), gaussian(count, seed, shift), np.eye(K)[classes])


def separate(chances, each=40):
    """Samples of three generators of a class."""
    return described(np.arange(3).repeat(each), gaussian(3 * each, 6), chances, joint=False)


def test_all_sets_of_all_classes_are_judged_by_as_many_samples():
    judged = judge(joint=joint(shift=FAR))
    groups = {name: judged.metrics(name)["groups"][ALL] for name in ("joint", "noise", "held-out")}
    assert {one["distance_samples"] for one in groups.values()} == {MADE}
    # The rank test of n volumes that are all further away than n others: U = n^2 with mean n^2 / 2 and variance
    # n^2 (2 n + 1) / 12. So z says how many volumes there were.
    furthest = MADE * (3 / (2 * MADE + 1)) ** 0.5
    for name in ("joint", "noise"):
        assert groups[name]["memorisation"]["z"] == pytest.approx(furthest)
    assert abs(groups["held-out"]["memorisation"]["z"]) < 3


def test_real_volumes_are_as_far_from_real_ones_as_a_perfect_generator_is():
    """A FID of fewer samples is larger, so a perfect generator seemed worse than held-out volumes."""
    found = []
    for seed in range(20):
        perfect = described(np.full(20, JOINT), gaussian(20, 100 + seed), np.full((20, K), 1 / K))
        judged = judge(seed, perfect=perfect)
        found.append([judged.metrics(name)["groups"][ALL]["fid"]["value"] for name in ("perfect", "held-out")])
    perfect, held_out = np.mean(found, axis=0)
    spread = np.std(found, axis=0).max() / len(found) ** 0.5
    assert abs(perfect - held_out) < 4 * spread and held_out > 1  # of 390 volumes it is 0.1


def test_the_mean_shape_is_no_sample():
    metrics = judge().metrics("mean")
    assert metrics["inception"] == {ALL: None, CATEGORIES: None}
    assert metrics["groups"] == {name: {"class_probability": 1.0, "samples": 1} for name in "abc"}


def test_rows_of_all_classes_are_dealt_into_parts_alike():
    """Held-out volumes had 39 in each part, three of every class: a score of 13, which no joint model can have."""
    found = [judge(seed, joint=joint(seed=seed)).metrics(name)["inception"][ALL] for seed in range(40)
             for name in ("joint", "held-out")]  # fmt: skip
    assert {(one["samples"], one["parts"], one["classes"]) for one in found} == {(MADE, 10, K)}
    # 13 volumes of a part, each of any of 13 classes and known with certainty: exp of the entropy of their counts.
    draw, expected = np.random.default_rng(0), []
    for _ in range(4000):
        counts = np.bincount(draw.integers(0, K, MADE // 10))
        share = counts[counts > 0] / counts.sum()
        expected.append(np.exp(-(share * np.log(share)).sum()))
    joint_score, held_out = (np.mean([one["mean"] for one in found[place::2]]) for place in (0, 1))
    assert joint_score == pytest.approx(np.mean(expected), abs=0.15)
    assert held_out == pytest.approx(np.mean(expected), abs=0.25)  # of 30 of each class, none is drawn twice


def test_scores_of_three_categories_take_equally_many_of_each_and_count_these_alone():
    right = separate(np.eye(K)[np.arange(3).repeat(40)])
    judged = judge(right=right)
    for name in ("right", "held-out"):
        score = judged.metrics(name)["inception"][CATEGORIES]
        assert (score["samples"], score["parts"], score["classes"]) == (3 * REAL, 10, 3)
        assert score["mean"] == pytest.approx(3) and score["deviation"] == pytest.approx(0, abs=1e-9)
    assert judged.metrics("right")["inception"][ALL] is None


def test_volumes_of_wrong_classes_earn_nothing():
    """Each seems one of the ten classes that were not asked for, and of the three no more one than another."""
    chances = np.full((120, K), 0.02)
    chances[np.arange(120), 3 + np.random.default_rng(0).integers(0, 10, 120)] = 1 - 12 * 0.02
    score = judge(wrong=separate(chances)).metrics("wrong")["inception"][CATEGORIES]
    assert score["mean"] == pytest.approx(1)


def test_generators_of_every_class_keep_the_classes_of_the_network():
    """As in the paper, whose scores of ten classes are by a network of forty."""
    each = np.arange(2)
    places = np.array([4, 9])
    held_out = Described(each.repeat(30), gaussian(60, 0), np.eye(K)[places.repeat(30)], np.zeros(60, int), joint=True)
    judged = Judge(JudgeParams(), ("x", "y"), places, ["x", "y"], 0, held_out, {"held-out": held_out})
    score = judged.metrics("held-out")["inception"][CATEGORIES]
    assert score["classes"] == K and score["mean"] == pytest.approx(2)


def test_a_set_of_too_few_is_void_and_takes_nothing_from_the_others():
    judged = judge(few=joint(19), one=joint(1), joint=joint())
    assert judged.metrics("few")["inception"][ALL] == {"void": "19 samples, fewer than 20"}
    assert judged.metrics("joint")["inception"][ALL]["samples"] == MADE
    alone = judged.metrics("one")["groups"][ALL]
    assert alone["void"] == "1 samples, fewer than 2" and "fid" not in alone
    assert judged.metrics("joint")["groups"][ALL]["distance_samples"] == 19
