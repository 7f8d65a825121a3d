"""Trainings on images that show several classes each."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robust3d.architectures import architecture
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.classifier import Classifier
from robust3d.training.classification import labelled
from robust3d.training.loop import train
from robust3d.training.multilabel import chance, judged, losses
from robust3d.trainings import finetune, linear, standard

torch.set_num_threads(1)
SETTINGS = {"batch_size": 12, "epochs": 6, "validate_epochs": 6}


def coloured(count, seed):
    """Red, green and blue squares in black, any number of them in a picture; of every fifth blue is not asked."""
    generator = np.random.default_rng(seed)
    shown = (generator.random((count, 3)) < 0.4).astype(np.float32)
    pixels = generator.integers(0, 40, (count, 3, 16, 16), dtype=np.uint8)
    for image, has in zip(pixels, shown, strict=True):
        for channel in np.flatnonzero(has):
            top, left = generator.integers(0, 10, 2)
            image[channel, top : top + 6, left : left + 6] = 255
    shown[::5, 2] = np.nan
    labels = torch.from_numpy(np.nan_to_num(shown).argmax(1))
    images = ImageData.of(torch.from_numpy(pixels), labels)
    return replace(images, shown=torch.from_numpy(shown), classes=("red", "green", "blue"))


def test_the_loss_is_the_binary_cross_entropy_of_what_is_asked():
    logits, shown = torch.tensor([[0.3, -1.2, 2.0]]), torch.tensor([[1.0, 0.0, float("nan")]])
    expected = (np.log1p(np.exp(-0.3)) + np.log1p(np.exp(-1.2))) / 2
    assert losses(logits, shown).item() == pytest.approx(expected, abs=1e-6)
    several = losses(logits.expand(4, 1, 3), shown)
    assert several.shape == (4, 1) and several[2].item() == pytest.approx(expected, abs=1e-6)
    logits = logits.clone().requires_grad_()
    losses(logits, shown).sum().backward()
    assert logits.grad[0, 2] == 0 and logits.grad[0, :2].abs().min() > 0.1


def test_chance_is_the_precision_of_equal_scores():
    images = coloured(60, 0)
    found = judged(torch.zeros(60, 3), images.shown)
    assert found["mean_average_precision"] == pytest.approx(chance(images.shown), abs=1e-6)
    perfect = judged(images.shown.nan_to_num() * 4 - 2, images.shown)
    assert perfect["mean_average_precision"] == 1 and perfect["loss"] == pytest.approx(np.log1p(np.exp(-2)), abs=1e-5)


@pytest.mark.parametrize("module", [finetune, linear])
def test_it_learns_what_is_shown(module):
    """From random weights, whose features tell colours apart already."""
    images, held_out = coloured(96, 0), coloured(60, 1)
    more = {"learning_rate": 0.05, "decay_epochs": ()} if module is finetune else {"standardise": True}
    params = module.Params(**SETTINGS | more)
    classifier = Classifier(architecture("resnet18"), 3)
    task = module.make_task(classifier, images, held_out, params)
    history = train(task, params.loop(len(images)), 0)
    found = history.selected["validation"]
    logits = classifier.eval()(held_out.all().float() / 255).detach()
    assert found["mean_average_precision"] == pytest.approx(
        judged(logits, held_out.shown)["mean_average_precision"], abs=1e-3
    )
    assert found["mean_average_precision"] > chance(held_out.shown) + 0.2
    assert task.score(found) == found["mean_average_precision"] and task.collapse(found) is None


def test_few_labels_are_so_many_pictures_of_each_class():
    images = coloured(60, 0)
    places = labelled(images, finetune.Params(labels_per_class=2))
    assert len(places) <= 6 and (images.shown[places] == 1).sum(0).min() >= 2
    with pytest.raises(UserError, match="labels_per_class: 50, but class 0 has"):
        labelled(images, finetune.Params(labels_per_class=50))


def test_other_trainings_refuse_it():
    with pytest.raises(UserError, match="objective: standard takes images of one label each"):
        standard.make_task(Classifier(architecture("resnet18"), 3), coloured(12, 0), coloured(6, 1), standard.Params())
