"""The linear support vector machine against closed forms and scikit-learn."""

import numpy as np
import pytest

from robust3d.generation.linear_svm import fit, predict

# LinearSVC(C=0.5, tol=1e-10) of scikit-learn 1.9.1 on `small()`: coefficients, and the constant of each class
SCIKIT_LEARN = np.array(
    [
        [0.30348364, -0.20435276, -0.26288001, -0.1464095, -0.12937826, -0.18062651],
        [-0.4564971, 0.42491584, -0.2466154, 0.1989453, -0.04650638, -0.30644965],
        [0.04676802, -0.03572386, 0.63364756, -0.04189215, 0.27409565, -0.9194309],
    ]
)


def small():
    """Three noisy classes."""
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 3, 40)
    return draw.normal(size=(40, 5)) + np.eye(3, 5)[labels], labels


@pytest.mark.parametrize("penalty", [0.5, 3.0])
def test_two_points_have_a_closed_form(penalty):
    # |w|² / 2 + 2 C (1 - w)² is least at w = 4 C / (1 + 4 C), and by symmetry the constant is 0.
    weights = fit(np.array([[1.0], [-1.0]]), np.array([1, 0]), 2, penalty)
    expected = 4 * penalty / (1 + 4 * penalty)
    assert np.abs(weights - [[-expected, 0], [expected, 0]]).max() < 1e-6
    assert predict(weights, np.array([[0.2], [-3.0]])).tolist() == [1, 0]


def test_the_gradient_vanishes():
    features, labels = small()
    weights, known = fit(features, labels, 3, 0.5), np.c_[features, np.ones(40)]
    for label, row in enumerate(weights):
        signs = np.where(labels == label, 1.0, -1.0)
        gradient = row - 2 * 0.5 * (signs * np.maximum(0, 1 - signs * (known @ row))) @ known
        assert np.abs(gradient).max() < 1e-9


def test_it_finds_what_scikit_learn_finds():
    features, labels = small()
    weights = fit(features, labels, 3, 0.5)
    assert np.abs(weights - SCIKIT_LEARN).max() < 1e-7


def test_it_agrees_with_scikit_learn_where_it_is_installed():
    svm = pytest.importorskip("sklearn.svm")
    features, labels = small()
    theirs = svm.LinearSVC(C=0.5, dual=False, tol=1e-10, max_iter=100_000).fit(features, labels)
    assert np.abs(fit(features, labels, 3, 0.5) - np.c_[theirs.coef_, theirs.intercept_]).max() < 1e-4


def test_more_features_than_samples():
    """Features of zeros beside the others change nothing, but the smaller problem is another one then."""
    features, labels = small()
    many = np.concatenate([features, np.zeros((40, 60))], axis=1)
    weights, expected = fit(many, labels, 3, 0.5), fit(features, labels, 3, 0.5)
    assert np.abs(weights[:, :5] - expected[:, :5]).max() < 1e-9 and np.abs(weights[:, 5:-1]).max() == 0
    assert np.abs(weights[:, -1] - expected[:, -1]).max() < 1e-9
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(12, 300)), np.arange(12) % 4
    assert (predict(fit(features, labels, 4, 0.5), features) == labels).all()


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        fit(np.array([[1.0], [np.nan]]), np.array([0, 1]), 2, 0.5)
