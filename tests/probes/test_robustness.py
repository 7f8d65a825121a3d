"""The robustness probe on a classifier whose answers are written in the images."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.probes import Subject, robustness

CLASSES = ("ant", "bee", "cat", "dog")


def images(answers, names, classes, accepted=None):
    """Images whose first pixel is the best answer and whose second is the next one; `names`: the class of each."""
    pixels = torch.zeros(len(answers), 3, 4, 4, dtype=torch.uint8)
    for picture, (first, second) in zip(pixels, answers, strict=True):
        picture[0, 0, 0], picture[0, 0, 1] = first, second
    labels = [classes.index(name) for name in names]
    rows = pd.DataFrame({"class_name": names})
    if accepted:
        rows["accepted"] = [json.dumps(accepted[name]) for name in names]
    return replace(ImageData.of(pixels, torch.tensor(labels)), rows=rows, classes=tuple(classes))


def reader(pixels):
    first, second = ((255 * pixels[:, 0, 0, k]).round().long() for k in (0, 1))
    hot = torch.nn.functional.one_hot
    return 2.0 * hot(first, 4) + 1.0 * hot(second, 4)


def asked(tmp_path, **sets):
    return Subject(reader, CLASSES, "cpu", sets.__getitem__, tmp_path, tuple(sets))


def test_every_set_is_a_row_of_its_own_and_answers_are_restricted_to_its_classes(tmp_path):
    plain = images([(0, 1), (1, 0), (3, 2), (3, 2)], ["ant", "bee", "cat", "dog"], CLASSES)
    drawn = images([(0, 3), (1, 0), (2, 3)], ["dog", "dog", "bee"], ["dog", "bee"])  # classes in another order
    found = robustness.probe(robustness.Params(), asked(tmp_path, set=plain, drawn=drawn))
    assert found.metrics["sets"]["set"]["accuracy"] == 0.75
    # Ant is no class of the drawn set, so the next best answer counts: dog; cat is none either: dog, which is wrong.
    assert found.outcomes.query("images == 'drawn'")["correct"].tolist() == [True, False, False]
    assert found.outcomes.query("images == 'drawn'")["prediction"].tolist() == [3, 1, 3]
    free = robustness.probe(robustness.Params(restricted=False), asked(tmp_path, set=plain, drawn=drawn))
    assert free.outcomes.query("images == 'drawn'")["prediction"].tolist() == [0, 1, 2]
    assert free.metrics["sets"]["drawn"]["answers"] == 4 and found.metrics["sets"]["drawn"]["answers"] == 2


def test_a_class_list_may_accept_several_labels_by_name_or_by_number(tmp_path):
    accepted = {"Insect": ["ant", 1], "Pet": [3]}
    given = images([(1, 0), (2, 3), (0, 0)], ["Insect", "Pet", "Pet"], ["Insect", "Pet"], accepted)
    plain = images([(0, 1)], ["ant"], CLASSES)
    found = robustness.probe(robustness.Params(), asked(tmp_path, set=plain, pug=given))
    assert found.outcomes.query("images == 'pug'")["correct"].tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("accepted", "stands_for"), [(None, "horse"), ({"horse": [9]}, "9"), ({"horse": ["mule"]}, "mule")]
)
def test_a_class_list_that_does_not_match_is_one_message(tmp_path, accepted, stands_for):
    given = images([(0, 0)], ["horse"], ["horse"], accepted)
    with pytest.raises(UserError) as caught:
        robustness.probe(robustness.Params(), asked(tmp_path, set=images([(0, 1)], ["ant"], CLASSES), odd=given))
    text = str(caught.value)
    assert "sets.odd: 1 of its 1 classes" in text and f"horse stands for {stands_for}" in text and "class_list" in text
