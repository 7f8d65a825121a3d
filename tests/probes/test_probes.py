"""Probes of classifiers that are right where we say so, and of a linear one whose margins are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from robust3d.attacks.params import AutoAttackParams
from robust3d.data.images import ImageData
from robust3d.probes import Subject, accuracy, autoattack, shift
from robust3d.stages.probe import _with_facts


def images(answers, labels):
    """Images whose first pixel is what `reader` answers."""
    pixels = torch.zeros(len(answers), 3, 4, 4, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.tensor(answers, dtype=torch.uint8)
    rows = pd.DataFrame({"class_name": [f"c{label}" for label in labels]})
    return replace(ImageData.of(pixels, torch.tensor(labels)), rows=rows)


def reader(pixels):
    """Logits of four classes that name the first pixel."""
    return torch.nn.functional.one_hot((255 * pixels[:, 0, 0, 0]).round().long(), 4).float()


def subject(model, tmp_path, **sets):
    return Subject(model, tuple("abcd"), "cpu", sets.__getitem__, tmp_path)


@pytest.mark.parametrize("batch_size", [1, 2, 250])
def test_accuracy_counts_right_answers(tmp_path, batch_size):
    asked = subject(reader, tmp_path, set=images([0, 1, 2, 3, 3], [0, 1, 1, 3, 0]))
    found = accuracy.probe(accuracy.Params(batch_size=batch_size), asked)
    assert found.metrics == {"set": {"correct": 3, "images": 5, "accuracy": 0.6}}
    assert found.outcomes["prediction"].tolist() == [0, 1, 2, 3, 3]
    assert found.outcomes["correct"].tolist() == [True, True, False, True, False]


def test_the_shift_test_tells_its_two_sets_apart(tmp_path):
    asked = subject(reader, tmp_path, set=images([0, 1, 2], [0, 1, 2]), shifted=images([1, 2, 2, 0], [0, 1, 2, 3]))
    found = shift.probe(shift.Params(), asked)
    assert found.metrics["set"]["accuracy"] == 1 and found.metrics["shifted"] == {
        "correct": 1,
        "images": 4,
        "accuracy": 0.25,
    }
    shifted = found.outcomes[found.outcomes["images"] == "shifted"]
    assert shifted["image"].tolist() == [0, 1, 2, 3] and shifted["correct"].tolist() == [False, False, True, False]


def test_autoattack_fools_a_linear_classifier_beyond_its_margin(tmp_path):
    """The sign of the mean decides: an image of 0.5 + m is fooled within a budget above m and not below."""
    margins = np.array([3, 9, 15, 40]) / 255
    pixels = torch.full((4, 3, 4, 4), 127, dtype=torch.uint8)
    pixels += torch.tensor([3, 9, 15, 40], dtype=torch.uint8)[:, None, None, None]
    given = ImageData.of(pixels, torch.ones(4, dtype=torch.int64))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 48))
        model[1].bias.copy_(torch.tensor([1.0, -1.0]) * 48 * 127 / 255)
    params = AutoAttackParams(norm="Linf", epsilons=(6 / 255, 20 / 255), iterations=10, square_queries=20)
    found = autoattack.probe(params, subject(model, tmp_path, set=given))
    table = found.outcomes.pivot(index="image", columns="epsilon", values="robust")
    assert table.to_numpy().tolist() == [[bool(margin > budget) for budget in params.epsilons] for margin in margins]
    assert found.metrics["clean_accuracy"] == 1 and found.metrics["attack"]["norm"] == "Linf"
    assert [told["accuracy"] for told in found.metrics["robust"].values()] == [0.75, 0.25]
    assert set(found.outcomes["images"]) == {"set"}


def test_outcomes_get_the_facts_of_their_own_images():
    facts = {
        "set": pd.DataFrame({"class_name": ["ball", "cube"], "view": [3, 5]}),
        "shifted": pd.DataFrame({"class_name": ["cube"], "view": [7]}),
    }
    told = pd.DataFrame({"images": ["shifted", "set", "set", "set"], "image": [0, 1, 0, 1], "own": [1, 2, 3, 4]})
    found = _with_facts(told, facts)
    assert found["own"].tolist() == [1, 2, 3, 4]
    assert found["class_name"].tolist() == ["cube", "cube", "ball", "cube"]
    assert found["view"].tolist() == [7, 5, 3, 5]
    for wrong in ({"images": ["set"], "image": [2]}, {"images": ["other"], "image": [0]}):
        with pytest.raises(ValueError, match="not given"):
            _with_facts(pd.DataFrame(wrong), facts)
