"""Dissimilarities, their likeness and CKA against scipy, closed forms and published numbers."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist

from robust3d.brain import rsa
from robust3d.brain.alignment import linear_cka
from robust3d.data.published.neural import read_rdms
from robust3d.errors import UserError


def values(images=20, features=30, seed=0):
    return np.random.default_rng(seed).standard_normal((images, features))


def test_dissimilarities_are_scipys():
    assert np.abs(rsa.rdm(values()) - pdist(values(), "correlation")).max() < 1e-12
    assert np.abs(rsa.rdm(values(), "euclidean") - pdist(values(), "sqeuclidean") / 30).max() < 1e-12
    assert rsa.pairs(rsa.matrix(rsa.rdm(values()))).tolist() == rsa.rdm(values()).tolist()


def test_likenesses_are_scipys():
    a, b = rsa.rdm(values()), np.round(rsa.rdm(values(seed=1)) + 0.2 * rsa.rdm(values()), 2)  # with ties
    assert rsa.likeness(a, b) == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-12)
    assert rsa.likeness(a, b, "pearson") == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-12)
    signs = [np.sign(v[:, None] - v)[np.triu_indices(len(v), 1)] for v in (a, b)]
    assert rsa.likeness(a, b, "kendall") == pytest.approx((signs[0] * signs[1]).mean(), abs=1e-12)
    assert rsa.likeness(a, 3 * a, "cosine") == pytest.approx(1)


def test_they_are_rsatoolboxs_where_it_is_installed():
    rsatoolbox = pytest.importorskip("rsatoolbox")
    sets = [rsatoolbox.data.Dataset(values(seed=seed)) for seed in (0, 1)]
    for ours, theirs in (("correlation", "correlation"), ("euclidean", "euclidean")):
        rdms = [rsatoolbox.rdm.calc_rdm(one, method=theirs) for one in sets]
        mine = [rsa.rdm(values(seed=seed), ours) for seed in (0, 1)]
        assert np.abs(mine[0] - rdms[0].dissimilarities[0]).max() < 1e-10
        for kind, name in (("spearman", "spearman"), ("pearson", "corr"), ("cosine", "cosine"), ("kendall", "tau-a")):
            expected = rsatoolbox.rdm.compare(rdms[0], rdms[1], method=name)[0, 0]
            assert rsa.likeness(*mine, kind) == pytest.approx(expected, abs=1e-10)


def test_identical_subjects_have_a_ceiling_of_1_and_strangers_a_low_one():
    a = rsa.rdm(values())
    assert rsa.rsa_ceiling([a, 2 * a, a + 1]) == pytest.approx((1, 1))
    low, high = rsa.rsa_ceiling([rsa.rdm(values(seed=seed)) for seed in range(4)])
    assert abs(low) < 0.15 and high == pytest.approx(0.5, abs=0.1)  # 1 / sqrt(4)


def test_a_bootstrap_over_images_holds_the_value():
    a, subjects = rsa.rdm(values()), [rsa.rdm(values() + values(seed=seed)) for seed in (1, 2)]
    found = rsa.compared(a, subjects, draws=100)
    assert found.low < found.value < found.high and found.value == np.mean(found.subjects)
    table = rsa.between({"one": a, "two": subjects[0]})
    assert table["one"]["two"] == table["two"]["one"] and table["one"]["one"] == pytest.approx(1)


def test_cka_has_its_closed_forms():
    x = values(50, 6)
    rotation = np.linalg.qr(values(6, 6, 3))[0]
    for unbiased in (True, False):
        assert linear_cka(x, 3 * x @ rotation + 1, unbiased) == pytest.approx(1)
    y = values(50, 4, 2)
    centred = [v - v.mean(0) for v in (x, y)]
    norm = np.linalg.norm
    expected = norm(centred[1].T @ centred[0]) ** 2 / norm(centred[0].T @ centred[0]) / norm(centred[1].T @ centred[1])
    assert linear_cka(x, y, False) == pytest.approx(expected)
    wide = [(values(30, 3000, s), values(30, 3000, s + 50)) for s in range(10)]
    assert linear_cka(*wide[0], unbiased=False) > 0.9  # of unrelated features
    assert abs(np.mean([linear_cka(*pair) for pair in wide])) < 0.03
    with pytest.raises(UserError, match="all are constant"):
        linear_cka(np.ones((9, 2)), y[:9])


def test_the_92_images_give_the_published_correlations():
    folder = next((p / "shared/data/brain_rdm92" for p in Path(__file__).parents if (p / "shared/data").is_dir()), None)
    if folder is None or not folder.is_dir():
        pytest.skip("no shared/data/brain_rdm92 beside the project")
    people = read_rdms(folder / "92_brainRDMs.mat")
    assert next(iter(people)) == "hIT | BE | Session: 1" and len(people) == 8
    names = list(people)
    means = [(people[names[i]] + people[names[i + 1]]) / 2 for i in range(0, 8, 2)]
    assert rsa.rsa_ceiling(means) == pytest.approx((0.372, 0.666), abs=1e-3)
    models = read_rdms(folder / "92_modelRDMs.mat")
    for name, value in (("monkeyIT", 0.296), ("HMAX", 0.160), ("V1", 0.027), ("animacy", 0.386)):
        assert rsa.compared(models[name], means).value == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize(
    ("square", "says"),
    [
        (np.ones((4, 4)) - np.eye(4) + np.triu(np.ones((4, 4)), 1), "not symmetric"),
        (np.ones((4, 4)), "diagonal is not 0.*1 - similarity"),
        (np.ones((4, 3)), "not a square matrix"),
        (np.full((4, 4), np.nan), "16 values are not finite"),
    ],
)
def test_what_is_no_rdm_is_said(square, says):
    with pytest.raises(UserError, match=says):
        rsa.pairs(square)


def test_what_cannot_be_compared_is_said():
    with pytest.raises(UserError, match="one value in all"):
        rsa.rdm(np.vstack([values(), np.ones(30)]))
    with pytest.raises(UserError, match="all dissimilarities are the same"):
        rsa.likeness(np.ones(10), np.arange(10))
    with pytest.raises(UserError, match="one has 10 pairs of images, the other 15"):
        rsa.likeness(np.arange(10), np.arange(15))
    with pytest.raises(UserError, match="only one"):
        rsa.rsa_ceiling([np.arange(10)])
