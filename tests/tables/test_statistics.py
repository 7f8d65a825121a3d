import numpy as np
import pytest
from scipy import stats

from robust3d.tables.statistics import (
    UNBOUNDED,
    difference,
    interval,
    mean_difference,
    over_seeds,
    seed_difference,
    t_interval,
)

DRAWS = 2000


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),  # Newcombe (1998), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_one_seed_has_wilsons_interval(successes, n, low, high):
    found = interval([np.arange(n) < successes])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=5e-5)
    assert "Wilson" in found["kind"] and "one training run: training noise is not in this interval" in found["kind"]


def test_three_seeds_have_an_interval_over_seeds_and_images():
    rows = [1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0]
    found = interval([np.array(row, bool) for row in rows])
    # By hand: mean squares of seeds 1/2, images 10/21, rest 5/42; (1/2 + 10/21 - 5/42) / 24 = 1/28 with
    # 2 (6/7)^2 / (1/2)^2 = 5.878 degrees of freedom, t(0.975, 5.878) = 2.4593
    half = 2.4593 / 28**0.5
    assert (found["low"], found["high"]) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)
    assert "3 seeds and 8 images" in found["kind"]


def test_seeds_alone_give_students_interval():
    """Where images differ no more than chance, the variance of the seeds' means is all there is."""
    found = interval([np.array([1, 1], bool), np.array([1, 0], bool), np.array([0, 0], bool)])
    half = 4.302653 * 0.5 / 3**0.5  # the means 1, 0.5 and 0 have standard deviation 0.5; t(0.975, 2); clipped to [0, 1]
    assert half > 0.5 and (found["low"], found["high"]) == (0, 1)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_have_no_verdict(seeds):
    rng = np.random.default_rng(0)
    baseline = [rng.random(400) < 0.5 for _ in range(seeds)]
    better = [b | (np.arange(400) < 200) for b in baseline]
    found = difference(better, baseline, [baseline, better], 0)
    assert found["verdict"] is None and found["p"] is None and found["low"] > 0
    assert "training noise is not in this interval" in found["note"]
    assert ("one training run" if seeds == 1 else "2 training runs, too few") in found["note"]


def test_a_difference_is_paired():
    rng = np.random.default_rng(0)
    baseline = rng.random(400) < 0.5
    same = difference([baseline], [baseline], [[baseline]], 0)
    assert same["value"] == same["low"] == same["high"] == 0
    better = baseline.copy()
    better[np.flatnonzero(~baseline)[:20]] = True
    found = difference([better], [baseline], [[baseline], [better]], 0)
    # 20 of 400 images gained: standard error sqrt(p (1 - p) / n), and none lost
    half = 1.96 * (0.05 * 0.95 / 400) ** 0.5
    assert found["value"] == pytest.approx(0.05)
    assert (found["low"], found["high"]) == pytest.approx((0.05 - half, 0.05 + half), abs=0.004)


def test_constant_columns_give_what_must_be():
    none, every = [np.zeros(20, bool)] * 3, [np.ones(20, bool)] * 3
    assert difference(none, none, [none, none], 0)["verdict"] == "does not differ"
    assert difference(every, none, [none, every], 0)["verdict"] == "differs"
    assert interval(every)["low"] == pytest.approx(interval(every[:1])["low"])  # Wilson's, not a point


def test_seeds_that_agree_by_chance_are_not_certain():
    """Each seed gains one image, each another one: the means agree, the models do not."""
    ours = [np.arange(12) == place for place in range(3)]
    baseline = [np.zeros(12, bool)] * 3
    assert difference(ours, baseline, [baseline, ours], 0)["verdict"] == "does not differ"


def test_without_images_to_vary_the_test_is_students():
    """Differences that are the same on every image leave the seeds alone: scipy's paired t test is the oracle."""
    ours, baseline = np.array([0.6, 0.75, 0.7]), np.array([0.5, 0.6, 0.65])
    columns = [[np.full(30, value) for value in values] for values in (ours, baseline)]
    found = difference(*columns, columns[::-1], 0)
    expected = stats.ttest_rel(ours, baseline)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected.confidence_interval()))


def test_pooling_is_a_two_way_analysis_of_variance():
    """Without images to vary: residual mean square of columns x seeds, (C - 1)(S - 1) = 6 degrees of freedom."""
    rng = np.random.default_rng(1)
    means = rng.random((4, 3))  # columns, seeds
    columns = [[np.full(10, value) for value in column] for column in means]
    found = difference(columns[1], columns[0], columns, 0)
    centred = means - means.mean(axis=0) - means.mean(axis=1)[:, None] + means.mean()
    error = (2 * (centred**2).sum() / 6 / 3) ** 0.5
    value = means[1].mean() - means[0].mean()
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(value) / error, 6))
    assert "pooled over 4 columns" in found["kind"]


def test_unlike_noise_is_shrunk_as_much_as_the_columns_are_alike():
    """400 columns with seed variances of 4 / chi-square(4): a prior of 4 degrees of freedom and scale 1."""
    rng = np.random.default_rng(2)
    spreads = (4 / rng.chisquare(4, 400)) ** 0.5
    means = rng.normal(0, 1, (400, 3)) * spreads[:, None]
    means[:2] = [1, 2, 6], [0, 0, 0]  # paired: mean 3, variance 7
    columns = [[np.full(5, value) for value in column] for column in means]
    found = difference(columns[0], columns[1], columns, 0)
    assert found["degrees"] == pytest.approx(4 + 2, abs=0.8)
    assert found["standard_error"] == pytest.approx(((4 * 2 * 1 + 2 * 7) / 6 / 3) ** 0.5, rel=0.07)
    assert "399 unlike columns" in found["kind"]  # one has no noise


def test_a_column_without_noise_of_seeds_says_nothing_of_others():
    rng = np.random.default_rng(3)
    noisy = [[np.full(10, value) for value in column] for column in rng.random((4, 3))]
    fixed = [np.ones(10)] * 3
    found, beside = (difference(noisy[1], noisy[0], peers, 0) for peers in (noisy, [*noisy, fixed]))
    assert found == beside


def test_a_mean_of_columns_has_a_share_of_their_noise():
    """Mean of two columns minus a third: 1/2 + 1 of a column's variance, where the difference of two has 2."""
    rng = np.random.default_rng(1)
    means = rng.random((4, 3))
    columns = [[np.full(10, value) for value in column] for column in means]
    both = [np.mean(of_seed, axis=0) for of_seed in zip(*columns[:2], strict=True)]
    single = difference(columns[0], columns[2], columns, 0)
    assert difference(both, columns[2], columns, 0, 1.5)["standard_error"] == pytest.approx(
        single["standard_error"] * (1.5 / 2) ** 0.5
    )


def test_a_mean_of_differences_is_no_surer_than_one_of_them():
    rng = np.random.default_rng(4)
    baseline = [rng.random(60) < 0.4 for _ in range(3)]
    ours = [one | (rng.random(60) < 0.2) for one in baseline]
    one = difference(ours, baseline, [baseline, ours], 0)
    assert mean_difference([one]) == one
    same = mean_difference([one, one, one])
    for name in ("value", "low", "high", "p"):
        assert same[name] == pytest.approx(one[name])
    opposite = difference(baseline, ours, [baseline, ours], 0)
    assert mean_difference([one, opposite])["value"] == 0
    assert mean_difference([one, opposite])["p"] == 1


def test_numbers_of_seeds_give_students_paired_test():
    ours, baseline = [3.0, 5.0, 4.5], [2.0, 2.5, 3.9]
    found, expected = seed_difference(ours, baseline), stats.ttest_rel(ours, baseline)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected.confidence_interval()))


def test_counts_that_agree_are_not_certain():
    """Three seeds of one unit fewer each: no noise can be seen, which is no proof that there is none."""
    found = seed_difference([0, 1, 0], [1, 2, 1])
    assert found["value"] == -1 and found["p"] is None and found["verdict"] is None and found["low"] is None
    assert "their noise cannot be told" in found["note"]
    assert seed_difference([1, 2, 1], [1, 2, 1])["verdict"] == "does not differ"
    rounded = seed_difference([0.1 + 0.2, 0.3, 0.7 - 0.4], [0, 0, 0])  # 0.3, but for the last digit
    assert rounded["p"] is None and rounded["verdict"] is None
    assert seed_difference([0.1 + 0.2, 0.3, 0.7 - 0.4], [0.3, 0.3, 0.3])["verdict"] == "does not differ"


@pytest.mark.parametrize("values", [[2, 2, 2], [0, 0, 0], [0.1 + 0.2, 0.3, 0.7 - 0.4], [-5.5] * 4])
def test_numbers_that_agree_have_no_interval(values):
    """Such as of the same weights in every seed: an interval without width would say that nothing is left to know."""
    assert over_seeds(values) is None and t_interval(np.array(values, float), UNBOUNDED, "t") is None


def test_numbers_that_differ_have_students_interval():
    found = over_seeds([0.0, 0.0, 3e-6])
    low, high = stats.t.interval(0.95, 2, 1e-6, 1e-6)  # mean 1e-6, standard deviation 3e-6 / 3**0.5
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def simulate(columns, seeds, images, by_seed, by_image, rest, shift):
    """Columns of models whose margin on an image is image + seed + column x image + noise; the second is shifted."""
    rng = np.random.default_rng([columns, seeds, images, int(100 * by_seed), int(100 * by_image), int(1000 * shift)])
    shape = (DRAWS, columns, seeds, images)
    margin = rng.normal(0.5, 1, (DRAWS, 1, 1, images)) + rng.normal(0, 0.1, (DRAWS, 1, seeds, 1))
    margin = margin + rng.normal(0, by_image, (DRAWS, columns, 1, images)) + rng.normal(0, by_seed, (*shape[:3], 1))
    margin = margin + rng.normal(0, rest, shape)
    margin[:, 1] += shift
    return margin > 0


def differing(tables):
    """Share of draws in which the second column is said to differ from the first."""
    verdicts = [difference(table[1], table[0], list(table), 0)["verdict"] for table in tables]
    return np.mean([verdict == "differs" for verdict in verdicts])


def three_errors(*setting):
    """The shift of the margin that moves the accuracy by three standard errors of the difference."""
    tables = simulate(*setting, 0.0).mean(axis=(2, 3))
    error = (tables[:, 1] - tables[:, 0]).std()
    low, high = 0.0, 4.0
    for _ in range(12):
        middle = (low + high) / 2
        sample = simulate(2, *setting[1:], middle)[:400].mean(axis=(2, 3))
        low, high = (middle, high) if (sample[:, 1] - sample[:, 0]).mean() < 3 * error else (low, middle)
    return middle


# Noise of seeds from none to most of all; seeds that shift all images alike, and images that suit one column.
NOISE = [(0.0, 0.3, 0.5), (0.1, 0.3, 0.5), (0.2, 0.3, 0.5), (0.5, 0.3, 0.3), (0.05, 0.1, 0.3)]


# The least power at three standard errors. A shift that pushes an accuracy to its end, as the fourth noise needs, takes
# from that column's noise; the columns are unlike then, and less can be borrowed.
POWER = dict.fromkeys(NOISE, 0.7) | {NOISE[3]: 0.6}


@pytest.mark.parametrize("noise", NOISE[1:4:2])
def test_the_verdict_holds_on_simulated_seeds_and_images(noise):
    """Table 4's case: five columns, three seeds, 52 images."""
    assert 0.02 <= differing(simulate(5, 3, 52, *noise, 0.0)) <= 0.08
    assert differing(simulate(5, 3, 52, *noise, three_errors(5, 3, 52, *noise))) >= POWER[noise]


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(("columns", "seeds", "images"), [(5, 3, 52), (5, 3, 200), (2, 6, 100), (5, 5, 100)])
def test_the_verdict_holds_for_other_numbers_of_columns_seeds_and_images(columns, seeds, images, noise):
    assert 0.02 <= differing(simulate(columns, seeds, images, *noise, 0.0)) <= 0.08
    shift = three_errors(columns, seeds, images, *noise)
    assert differing(simulate(columns, seeds, images, *noise, shift)) >= POWER[noise]


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISE)
def test_a_pair_of_columns_with_three_seeds_keeps_its_level(noise):
    """Two degrees of freedom: no exact test sees three standard errors more often than about 40 times in 100."""
    assert 0.02 <= differing(simulate(2, 3, 100, *noise, 0.0)) <= 0.09


def unlike(spreads, shift=0.0, images=260, draws=600):
    """Columns whose seeds shift the share of right answers by noise of their own size; the second is shifted."""
    rng = np.random.default_rng([int(1000 * shift), *(int(1000 * one) for one in spreads)])
    by_seed = rng.normal(0, 1, (draws, len(spreads), 3, 1)) * np.array(spreads)[:, None, None]
    by_seed[:, 1] += shift
    return rng.random((draws, len(spreads), 3, images)) < 0.6 + rng.uniform(-0.2, 0.2, (draws, 1, 1, images)) + by_seed


def test_one_loud_column_hides_no_difference_of_quiet_ones():
    """A training that fails for one of three seeds, as an ablation may, beside seven that vary by 2 points."""
    spreads = [0.02] * 7 + [0.28]
    assert differing(unlike(spreads)) <= 0.07
    assert differing(unlike(spreads, 0.12)) >= 0.8  # pooled as if alike: less than half


def test_among_unlike_columns_one_in_ten_pairs_at_most_is_wrongly_told_apart():
    """Over all pairs: quiet columns are told apart too rarely, loud ones too often, in up to a fifth."""
    spreads = [0.08, 0.08, 0.04, 0.04, 0.02, 0.02, 0.01, 0.01]
    tables = unlike(spreads)
    rng = np.random.default_rng(0)
    pairs = [rng.choice(len(spreads), 2, replace=False) for _ in tables]
    wrong = [
        difference(t[a], t[b], list(t), 0)["verdict"] == "differs" for t, (a, b) in zip(tables, pairs, strict=True)
    ]
    assert 0.03 <= np.mean(wrong) <= 0.1
    assert differing(tables) <= 0.25  # the two loudest
