"""Hyper-parameters by cross-validation: what is seen, what is chosen."""

import pytest
import torch

from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.training.loop import TrainingError
from robust3d.training.search import choose
from robust3d.trainings import finetune


def numbered(count, classes=3):
    """Image i has the value i, so that it can be recognised."""
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 3, 8, 8)
    return ImageData.of(pixels, torch.arange(count) % classes)


def values(images):
    return images.batch(range(len(images)))[:, 0, 0, 0].tolist()


def test_every_combination_sees_the_labelled_images_alone_and_each_is_once_held_out():
    seen = []

    def score(params, fit, test, name):
        assert params.labels_per_class is None
        seen.append((params.learning_rate, params.weight_decay, values(fit), values(test), name))
        return 1.0 if params.learning_rate == 0.01 else 0.5

    params = finetune.Params(labels_per_class=4, decay_epochs=())
    grid = {"learning_rate": (0.1, 0.01), "weight_decay": (0.0, 1e-4)}
    best, facts = choose(params, grid, 2, numbered(30), score)
    assert len({name for *_, name in seen}) == len(seen) == 8 and best.labels_per_class == 4
    assert (best.learning_rate, best.weight_decay) == (0.01, 0.0)  # of equal ones the first
    assert facts["chosen"] == {"learning_rate": 0.01, "weight_decay": 0.0} and len(facts["tried"]) == 4
    first = [(fit, test) for rate, decay, fit, test, _ in seen if (rate, decay) == (0.1, 0.0)]
    for fit, test in first:
        assert not set(fit) & set(test) and len(fit) == len(test) == 6
        assert [sum(value % 3 == label for value in test) for label in range(3)] == [2, 2, 2]
    assert sorted(first[0][1] + first[1][1]) == sorted(first[0][0] + first[0][1])
    again = []
    choose(params, grid, 2, numbered(30), lambda _, fit, test, name: again.append(values(test)) or 0.0)
    assert again == [test for _, _, _, test, _ in seen]


def test_it_takes_the_best_mean_not_the_best_fold():
    scores = {(0.1, 0): 0.9, (0.1, 1): 0.0, (0.01, 0): 0.6, (0.01, 1): 0.5}
    best, facts = choose(
        finetune.Params(decay_epochs=()),
        {"learning_rate": (0.1, 0.01)},
        2,
        numbered(12),
        lambda params, fit, test, name: scores[params.learning_rate, int(name[-1])],
    )
    assert best.learning_rate == 0.01 and [one["mean"] for one in facts["tried"]] == [0.45, 0.55]


def test_what_diverges_is_not_taken():
    def score(params, fit, test, name):
        if params.learning_rate > 1:
            raise TrainingError("loss is NaN")
        return 0.1

    best, facts = choose(finetune.Params(decay_epochs=()), {"learning_rate": (10.0, 0.1)}, 2, numbered(12), score)
    assert best.learning_rate == 0.1 and [one["mean"] for one in facts["tried"]] == [None, 0.1]
    with pytest.raises(UserError, match="search: the training diverges with each of 1 combinations"):
        choose(finetune.Params(decay_epochs=()), {"learning_rate": (10.0,)}, 2, numbered(12), score)


def test_too_few_labels_are_refused():
    with pytest.raises(UserError, match=r"search\.folds: 3, but class 0 has 2 labelled training images"):
        choose(finetune.Params(labels_per_class=2), {"learning_rate": (0.1,)}, 3, numbered(30), lambda *_: 0.0)
    with pytest.raises(ValueError, match="learning_rate, weight_decay: both left out"):
        finetune.SearchParams(folds=2)
