"""Scores from class probabilities, against hand-computed cases and a literal loop."""

import numpy as np
import pytest

from robust3d.generation.scores import among, class_histogram, class_probability, inception_score

CLASSES = 7


def test_uniform_predictions_score_one() -> None:
    found = inception_score(np.full((50, CLASSES), 1 / CLASSES))
    assert (found.mean, found.deviation, found.parts, found.samples) == (pytest.approx(1), pytest.approx(0), 10, 50)


@pytest.mark.parametrize("splits", [1, 10])
def test_balanced_one_hot_predictions_score_the_number_of_classes(splits: int) -> None:
    labels = np.arange(CLASSES * 20) % CLASSES
    found = inception_score(np.eye(CLASSES)[labels], splits)
    assert found.mean == pytest.approx(CLASSES, rel=1e-12)
    assert found.deviation == pytest.approx(0, abs=1e-12)


def test_samples_sorted_by_class_are_balanced_within_each_part_by_their_labels() -> None:
    labels = np.repeat(np.arange(CLASSES), 20)
    chances = np.eye(CLASSES)[labels]
    assert inception_score(chances).mean < 2  # a part of one or two classes
    assert inception_score(chances, labels=labels).mean == pytest.approx(CLASSES, rel=1e-12)


def test_it_equals_a_literal_loop() -> None:
    chances = np.random.default_rng(0).dirichlet(np.full(CLASSES, 0.3), 40)
    scores = []
    for part in np.split(chances, 4):
        total = 0.0
        for row in part:
            total += sum(p * np.log(p / q) for p, q in zip(row, part.mean(0), strict=True) if p > 0)
        scores.append(np.exp(total / len(part)))
    found = inception_score(chances, 4)
    assert found.mean == pytest.approx(np.mean(scores), rel=1e-12)
    assert found.deviation == pytest.approx(np.std(scores), rel=1e-9)


def test_class_probability_and_histogram() -> None:
    chances = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])
    assert class_probability(chances, 1) == pytest.approx(1.4 / 3)
    assert class_histogram(chances).tolist() == [2, 1, 0]


@pytest.mark.parametrize("wrong", [np.ones((5, 3)), np.array([[1.5, -0.5]]), np.full((4, 2), np.nan), np.ones(4)])
def test_rows_that_are_no_probabilities_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        inception_score(wrong, 1)


def test_more_parts_than_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="divided into 10"):
        inception_score(np.full((4, 2), 0.5))


def test_probabilities_of_some_classes_as_if_there_were_no_others() -> None:
    chances = np.array([[0.1, 0.3, 0.6], [0.0, 0.0, 1.0]])
    assert among(chances, np.array([1, 0])).tolist() == [[pytest.approx(0.75), pytest.approx(0.25)], [0.5, 0.5]]
