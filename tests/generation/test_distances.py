"""Distances between sets of features, against scipy, literal loops and closed forms."""

import numpy as np
import pytest
from scipy import linalg, stats

from robust3d.generation.distances import (
    coverage,
    frechet_distance,
    kernel_distance,
    memorisation,
    nearest,
    one_nearest_accuracy,
)

RNG = np.random.default_rng


def features(seed: int, count: int, width: int = 12, shift: float = 0.0) -> np.ndarray:
    rng = RNG(seed)
    return rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + shift


@pytest.mark.parametrize("count", [5, 12, 13, 200])
def test_frechet_distance_of_a_set_with_itself_is_nothing_beside_its_trace(count: int) -> None:
    found = frechet_distance(features(0, count), features(0, count)[::-1])
    assert found.value < 1e-6 * found.trace
    assert bool(found.flags) == (count <= 12)


@pytest.mark.parametrize("counts", [(300, 200), (40, 500)])
def test_frechet_distance_equals_the_one_by_scipys_square_root(counts: tuple[int, int]) -> None:
    a, b = features(1, counts[0]), features(2, counts[1], shift=0.5)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(s @ t).real
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s + t - 2 * root)
    assert frechet_distance(a, b).value == pytest.approx(wanted, rel=1e-6)


def test_frechet_distance_of_few_samples_is_exact_where_the_covariances_commute() -> None:
    # All samples along one line: the trace of the root is the product of both deviations.
    line = np.zeros(30)
    line[3] = 1
    a, b = RNG(3).normal(size=(6, 1)) * line, 2 * RNG(4).normal(size=(9, 1)) * line + line
    deviations = a[:, 3].std(ddof=1), b[:, 3].std(ddof=1)
    wanted = (a[:, 3].mean() - b[:, 3].mean()) ** 2 + (deviations[0] - deviations[1]) ** 2
    found = frechet_distance(a, b)
    assert found.value == pytest.approx(wanted, rel=1e-9)
    assert "9" not in found.flags[0] and "6 samples of 30 features" in found.flags[0]


def test_frechet_distance_of_translated_sets_is_the_square_of_the_translation() -> None:
    a = features(5, 50)
    assert frechet_distance(a, a + 3).value == pytest.approx(12 * 9, rel=1e-9)


def test_kernel_distance_equals_a_literal_loop() -> None:
    a, b = features(6, 9, 4), features(7, 9, 4, shift=1)
    kernel = lambda x, y: (x @ y / 4 + 1) ** 3  # noqa: E731
    pairs = [(i, j) for i in range(9) for j in range(9) if i != j]
    within = sum(kernel(s[i], s[j]) for s in (a, b) for i, j in pairs) / (9 * 8)
    across = sum(kernel(x, y) for x in a for y in b) / 81
    found = kernel_distance(a, b, RNG(0))
    assert (found.subsets, found.size) == (1, 9)
    assert found.value == pytest.approx(within - 2 * across, rel=1e-9)


def test_kernel_distance_of_equal_distributions_is_unbiased() -> None:
    values = [kernel_distance(RNG(s).normal(size=(20, 5)), RNG(s + 500).normal(size=(20, 5)), RNG(0)).value
              for s in range(300)]  # fmt: skip
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_coverage_of_itself_is_whole_and_of_one_mode_is_low() -> None:
    real = features(8, 40)
    assert coverage(real, real) == 1
    assert coverage(real, np.repeat(real[:4], 10, axis=0)) == 4 / 40


def test_one_nearest_accuracy_knows_far_sets_copies_and_equal_distributions() -> None:
    real = features(9, 60)
    assert one_nearest_accuracy(real, real + 1000).accuracy == 1
    assert one_nearest_accuracy(real, real.copy()).accuracy == 0
    drawn = [one_nearest_accuracy(RNG(s).normal(size=(60, 3)), RNG(s + 100).normal(size=(60, 3))).accuracy
             for s in range(40)]  # fmt: skip
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.04)


def test_one_nearest_accuracy_equals_a_literal_loop() -> None:
    real, made = features(10, 15, 3), features(11, 15, 3, shift=1)
    both = [(point, 0) for point in real] + [(point, 1) for point in made]
    right = 0
    for i, (point, kind) in enumerate(both):
        others = [(np.linalg.norm(point - other), its) for j, (other, its) in enumerate(both) if j != i]
        right += min(others)[1] == kind
    assert one_nearest_accuracy(real, made).accuracy == right / 30


def test_memorisation_test_equals_scipys_rank_test() -> None:
    train, held_out, made = features(12, 80, 4), features(13, 30, 4), np.round(features(14, 50, 4))
    to_made, to_held_out = (nearest(x, train)[1] for x in (made, held_out))
    wanted = stats.mannwhitneyu(to_made, to_held_out, method="asymptotic", use_continuity=False)
    found = memorisation(train, held_out, made)
    assert 2 * stats.norm.sf(abs(found.z)) == pytest.approx(wanted.pvalue, rel=1e-9)
    assert found.ratio == pytest.approx(np.median(to_made) / np.median(to_held_out))


def test_copies_are_found_and_new_samples_are_not() -> None:
    train, held_out = RNG(15).normal(size=(300, 4)), RNG(16).normal(size=(100, 4))
    copies = memorisation(train, held_out, train[:100] + 1e-6)
    assert copies.z < -8 and copies.copies == 1
    fresh = memorisation(train, held_out, RNG(17).normal(size=(100, 4)))
    assert abs(fresh.z) < 3 and fresh.copies < 0.1


def test_nearest_equals_a_literal_loop_and_takes_the_first_of_equals() -> None:
    a, b = features(18, 30, 5), features(19, 20, 5) + 1e6
    b = np.concatenate([b, b])
    places, lengths = nearest(a + 1e6, b)
    for point, place, length in zip(a + 1e6, places, lengths, strict=True):
        all_lengths = np.linalg.norm(point - b, axis=1)
        assert place == all_lengths.argmin() and length == pytest.approx(all_lengths.min(), rel=1e-12)


@pytest.mark.parametrize("wrong", [np.ones((4, 3)), np.full((4, 12), np.inf), np.ones((1, 12)), np.ones(12)])
def test_features_of_another_kind_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"features|samples"):
        frechet_distance(features(0, 5), wrong)
