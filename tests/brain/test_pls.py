"""Partial least squares against scikit-learn, least squares and its own slow mode."""

import numpy as np
import pytest

from robust3d.brain import pls
from robust3d.brain.predictivity import correlations
from robust3d.errors import UserError

# PLSRegression(3, scale=False) of scikit-learn 1.9.1 on `small()`: what it predicts for the first two test images
SCIKIT_LEARN = np.array(
    [
        [-1.49018459747, -1.64396987864, -2.46468143827, 0.87112129036],
        [-0.87106081434, -0.01728811091, -0.39672385246, -0.86577068276],
    ]
)


def small():
    """Four sites, 30 images, eight features that share three factors."""
    generator = np.random.RandomState(7)  # its stream never changes
    factors = generator.standard_normal((30, 3))
    features = factors @ generator.standard_normal((3, 8)) + 0.5 * generator.standard_normal((30, 8))
    responses = factors @ generator.standard_normal((3, 4)) + generator.standard_normal((30, 4))
    return features, responses


def larger(images=260, features=120, sites=30, seed=0):
    generator = np.random.default_rng(seed)
    factors = generator.standard_normal((images, 30))
    x = factors @ (generator.standard_normal((30, features)) * np.linspace(2, 0.2, 30)[:, None])
    y = factors @ generator.standard_normal((30, sites))
    return x + generator.standard_normal(x.shape), y + 2 * generator.standard_normal(y.shape)


def test_nipals_predicts_what_scikit_learn_predicts():
    features, responses = small()
    regression = pls.fit(features[:24], responses[:24], 3, "nipals")
    assert np.abs(regression.predict(features[24:26]) - SCIKIT_LEARN).max() < 1e-8


@pytest.mark.parametrize("shape", [(260, 120, 30), (120, 400, 20), (120, 40, 300), (100, 30, 1)])
def test_both_modes_agree_with_scikit_learn_where_it_is_installed(shape):
    cross_decomposition = pytest.importorskip("sklearn.cross_decomposition")
    (x, y), half = larger(*shape), shape[0] * 3 // 4
    theirs = cross_decomposition.PLSRegression(25, scale=False).fit(x[:half], y[:half]).predict(x[half:])
    z = pls.compact(x)
    exact = pls.fit(z[:half], y[:half], 25, "nipals").predict(z[half:])
    assert np.abs(exact - theirs.reshape(exact.shape)).max() < 1e-8


@pytest.mark.parametrize("shape", [(260, 120, 30), (120, 400, 20), (120, 40, 300)])
def test_the_fast_mode_is_scikit_learn_converged(shape):
    """At its default tolerance its power method has not converged, so that is no reference for the fast mode."""
    cross_decomposition = pytest.importorskip("sklearn.cross_decomposition")
    (x, y), half = larger(*shape), shape[0] * 3 // 4
    told = {}
    for name, settings in {"default": {}, "tight": {"tol": 1e-26, "max_iter": 100_000}}.items():
        theirs = cross_decomposition.PLSRegression(25, scale=False, **settings).fit(x[:half], y[:half])
        told[name] = correlations(theirs.predict(x[half:]), y[half:])
    ours = correlations(pls.fit(x[:half], y[:half], 25).predict(x[half:]), y[half:])
    assert np.abs(ours - told["tight"]).max() < 1e-6
    assert np.median(np.abs(ours - told["default"])) < 1e-3


def test_the_fast_mode_differs_from_nipals_by_its_tolerance_only(monkeypatch):
    (x, y), half = larger(), 200
    told = {}
    for method in ("nipals", "fast"):
        told[method] = correlations(pls.fit(x[:half], y[:half], 25, method).predict(x[half:]), y[half:])
    gaps = np.abs(told["fast"] - told["nipals"])
    assert abs(np.median(told["fast"]) - np.median(told["nipals"])) < 1e-3 and gaps.max() < 5e-3
    monkeypatch.setattr(pls, "TOLERANCE", 1e-26)
    monkeypatch.setattr(pls, "MOST_STEPS", 20_000)
    converged = pls.fit(x[:half], y[:half], 25, "nipals").predict(x[half:])
    assert np.abs(converged - pls.fit(x[:half], y[:half], 25).predict(x[half:])).max() < 1e-6


@pytest.mark.parametrize("sites", [80, 50])
def test_more_sites_than_the_dense_problem_takes_give_the_same(monkeypatch, sites):
    x, y = larger(90, 60, sites)
    dense = pls.fit(x, y, 10).predict(x)
    monkeypatch.setattr(pls, "DENSE_UP_TO", 8)
    assert np.abs(pls.fit(x, y, 10).predict(x) - dense).max() < 1e-6


def test_as_many_components_as_features_are_least_squares():
    features, responses = small()
    design = np.column_stack([np.ones(30), features])
    expected = design @ np.linalg.lstsq(design, responses, rcond=None)[0]
    for method in ("fast", "nipals"):
        assert np.allclose(pls.fit(features, responses, 8, method).predict(features), expected)


def test_fewer_coordinates_keep_all_inner_products():
    x, _ = larger(40, 300)
    z = pls.compact(np.column_stack([x, np.full(40, 1e6)]))
    centred = x - x.mean(0)
    assert z.shape == (40, 40) and np.allclose(z @ z.T, centred @ centred.T)


def test_a_rank_below_the_components_ends_early():
    x, y = larger(50, 30, 4)
    low = np.outer(x[:, 0], np.arange(1.0, 6)) + np.outer(x[:, 1], np.ones(5))
    for method in ("fast", "nipals"):
        regression = pls.fit(low, y, 5, method)
        design = np.column_stack([np.ones(50), x[:, :2]])
        expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        assert np.allclose(regression.predict(low), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x, y: (x, y, 25), "components: 25 are more than 24 images .* 8 features .* at most 8"),
        (lambda x, y: (x, y, 0), "components: 0; at least 1"),
        (lambda x, y: (np.ones_like(x), y, 2), "all are constant over the images; choose another layer"),
        (lambda x, y: (np.where(x > 1, np.nan, x), y, 2), "features: .* not finite, the first in row"),
        (lambda x, y: (x, y / 0, 2), "responses: 96 values are not finite"),
        (lambda x, y: (x[:5], y, 2), "5 images and responses to 24 do not match"),
    ],
)
def test_what_cannot_be_fitted_is_said(change, says):
    features, responses = small()
    with np.errstate(divide="ignore"), pytest.raises(UserError, match=says):
        pls.fit(*change(features[:24], responses[:24]))
