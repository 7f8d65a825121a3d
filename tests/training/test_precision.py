"""Average precision against values by hand, the definition point by point, and scikit-learn."""

import math

import numpy as np
import pytest

from robust3d.training.precision import average_precision, mean_average_precision

# Scores 5 to 1; right, wrong, right, wrong, right: precision 1, 1/2, 2/3, 1/2, 3/5 at recalls 1/3, 1/3, 2/3, 2/3, 1.
SCORES, SHOWN = [5.0, 4.0, 3.0, 2.0, 1.0], [1, 0, 1, 0, 1]


def drawn(seed, size=40):
    """Scores of which some are equal, and what is shown."""
    generator = np.random.default_rng(seed)
    return np.round(generator.normal(size=size), 1), (generator.random(size) < 0.3).astype(int)


def test_by_hand():
    assert average_precision(SCORES, SHOWN, "steps") == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert average_precision(SCORES, SHOWN, "area") == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    # Recalls 0, .1, .2, .3: 1; .4, .5, .6: 2/3; .7 to 1: 3/5.
    assert average_precision(SCORES, SHOWN, "eleven_points") == pytest.approx((4 + 3 * 2 / 3 + 4 * 3 / 5) / 11)
    # Right, wrong, wrong, right, right, right: precision rises again to 4/6, which counts from recall 1/4 on.
    rising = [6, 5, 4, 3, 2, 1], [1, 0, 0, 1, 1, 1]
    assert average_precision(*rising, "area") == pytest.approx((1 + 3 * 4 / 6) / 4)
    assert average_precision(*rising, "steps") == pytest.approx((1 + 2 / 4 + 3 / 5 + 4 / 6) / 4)


@pytest.mark.parametrize("seed", range(4))
def test_area_and_points_are_those_of_the_definition(seed):
    """Precision at a recall r: the highest of all thresholds whose recall is at least r (Everingham et al. 2010)."""
    scores, shown = drawn(seed)
    points = [((shown[scores >= t]).sum() / shown.sum(), shown[scores >= t].mean()) for t in np.unique(scores)]

    def interpolated(recall):
        return max(precision for reached, precision in points if reached >= recall - 1e-12)

    eleven = np.mean([interpolated(k / 10) for k in range(11)])
    fine = np.mean([interpolated((k + 0.5) / shown.sum()) for k in range(shown.sum())])  # it is constant in between
    assert average_precision(scores, shown, "eleven_points") == pytest.approx(eleven)
    assert average_precision(scores, shown, "area") == pytest.approx(fine)


def test_steps_are_what_scikit_learn_finds():
    """`average_precision_score` of scikit-learn 1.9.1, with equal scores among them."""
    assert average_precision(*drawn(3), "steps") == pytest.approx(0.3686608618266777, abs=1e-12)
    assert average_precision([0.9, 0.8, 0.7, 0.7, 0.1], [1, 0, 1, 1, 0], "steps") == pytest.approx(5 / 6, abs=1e-12)


def test_steps_agree_with_scikit_learn_where_it_is_installed():
    theirs = pytest.importorskip("sklearn.metrics").average_precision_score
    for seed in range(20):
        scores, shown = drawn(seed)
        assert average_precision(scores, shown, "steps") == pytest.approx(theirs(shown, scores), abs=1e-12)


def test_what_is_not_asked_does_not_count():
    asked = [*SHOWN, np.nan, np.nan], [*SCORES, 9.0, 2.5]
    assert average_precision(asked[1], asked[0]) == average_precision(SCORES, SHOWN)
    assert math.isnan(average_precision([1.0, 2.0], [0, np.nan]))


def test_scores_without_sense_reach_the_share_of_images_that_show_the_class():
    assert average_precision(np.zeros(10), [1, 1, 1] + 7 * [0], "steps") == pytest.approx(0.3)
    generator = np.random.default_rng(0)
    shown = (np.arange(20_000) % 5 == 0).astype(int)
    assert average_precision(generator.normal(size=20_000), shown) == pytest.approx(0.2, abs=0.02)


def test_the_mean_leaves_out_classes_that_no_image_shows():
    scores, shown = np.array([SCORES, SCORES, SCORES]).T, np.array([SHOWN, [0] * 5, [1, 1, 0, 0, 0]]).T
    assert mean_average_precision(scores, shown) == pytest.approx((average_precision(SCORES, SHOWN) + 1) / 2)
