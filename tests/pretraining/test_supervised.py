import math

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.architectures import architecture
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.encoder import Encoder
from robust3d.pretraining import ae, supervised
from robust3d.seeds import torch_generator
from robust3d.training.augmentation import windows
from robust3d.training.loop import train
from robust3d.training.params import LoopParams

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)


def make(toy_solids, **changes):
    params = supervised.Params(**({"batch": 8, "validation_images": 30} | changes))
    return supervised.make_task(params, Encoder(RESNET18), toy_solids.train, toy_solids.held_out, 0, "cpu")


class Oracle(nn.Module):
    """Answers with known logits, whatever it is shown."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, images):
        return self.logits[: len(images)]


def test_labels_go_with_their_views(toy_solids):
    """The label of a drawn view is that of the object whose view it is."""
    pretraining = make(toy_solids, batch=40)
    images, labels = pretraining.draw(torch_generator("draw"))
    flat = toy_solids.train.inputs.flatten(0, 1)
    views = toy_solids.train.inputs.shape[1]
    for image, label in zip((images * 255).round().to(torch.uint8), labels):
        (same,) = torch.nonzero((flat == image).all((1, 2, 3)), as_tuple=True)
        assert int(label) in {int(toy_solids.train.class_index[position // views]) for position in same.tolist()}
    assert set(labels.tolist()) == {0, 1, 2}


def test_it_sees_the_images_that_the_autoencoder_sees(toy_solids):
    autoencoder = ae.make_task(
        ae.Params(batch=8, target="unit"),
        Encoder(RESNET18),
        toy_solids.train,
        toy_solids.held_out,
        0,
        "cpu",
    )
    for step in range(3):
        ours, _ = make(toy_solids).draw(torch_generator(0, "step", step))
        theirs, _ = autoencoder.draw(torch_generator(0, "step", step))
        assert torch.equal(ours, theirs)
    assert make(toy_solids).images_per_step == autoencoder.images_per_step == 8


def test_validation_and_collapse_in_closed_form(toy_solids):
    pretraining = make(toy_solids)
    _, labels = pretraining._validation_images
    pretraining.module = Oracle(torch.zeros(30, 3))
    found = pretraining.validate()
    assert found["cross_entropy"] == pytest.approx(math.log(3)) == found["cross_entropy_baseline"]
    assert (
        found["accuracy"] == pytest.approx(float((labels == 0).float().mean())) and found["accuracy_baseline"] == 1 / 3
    )
    assert found["commonest_answer"] == 1 and "one class" in pretraining.collapse(found)
    pretraining.module = Oracle(50 * nn.functional.one_hot(labels, 3).float())
    found = pretraining.validate()
    assert found["accuracy"] == 1 and found["cross_entropy"] < 1e-6 and pretraining.collapse(found) is None
    truth, ours = pretraining.reconstructions(4)
    flat, of_view = toy_solids.train.inputs.flatten(0, 1), toy_solids.train.class_index.repeat_interleave(12)
    for i in range(4):  # the mean training image of the class that it answers, here the true one
        mean = flat[of_view == labels[i]].double().mean(0).round().movedim(0, -1)
        np.testing.assert_array_equal(ours[i], mean.numpy().astype(np.uint8))
    assert truth.shape == ours.shape == (4, 32, 32, 3)


@pytest.mark.slow
def test_it_learns_to_name_solids(toy_solids):
    pretraining = make(toy_solids, batch=16)
    history = train(pretraining, LoopParams(steps=120, learning_rate=5e-4, decay_steps=(90,), validate_every=120), 0)
    assert history.images_seen == 120 * 16 and history.collapse is None
    assert history.selected["validation"]["accuracy"] > 0.6  # chance: a third


def coloured(count, side, seed):
    """Images of three classes: which channel is bright; one bright pixel says from where a window is."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, 3, side, side), generator=generator)
    labels = torch.arange(count) % 3
    images[torch.arange(count), labels] += 90
    return ImageData.of(images.to(torch.uint8), labels)


class Tiny(nn.Module):
    """One convolution and a head."""

    def __init__(self, classes):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 8, 3, stride=2), nn.Linear(8, classes)

    def forward(self, images):
        return self.head(self.body(images).relu().mean((2, 3)))


TINY = Architecture("tiny", Tiny, "head", 8)


def of_set(params, side=20, **changes):
    encoder = Encoder(TINY)
    data = coloured(60, side, 0), coloured(24, side, 1)
    return supervised.make_task(supervised.Params(**{**params, "loop": {"steps": 1}}), encoder, *data, 0, "cpu")


def test_images_of_a_set_are_learned_as_views_are():
    pretraining = of_set({"batch": 12})
    assert pretraining.classes == 3 and pretraining.images_per_step == 12
    train(pretraining, LoopParams(steps=80, learning_rate=0.02, validate_every=80), 0)
    with pretraining.in_eval_mode():
        assert pretraining.validate()["accuracy"] > 0.9
    truth, means = pretraining.reconstructions(3)
    assert truth.shape == means.shape == (3, 20, 20, 3)


def test_windows_lie_inside_everywhere_and_in_the_middle_without_draws():
    places = torch.arange(49).view(1, 1, 7, 7).expand(400, 3, 7, 7)
    corners = windows(places, 4, torch.Generator().manual_seed(0))[:, 0, 0, 0]
    assert sorted(set(corners.tolist())) == [7 * row + column for row in range(4) for column in range(4)]
    cut = windows(places, 4, torch.Generator().manual_seed(0))
    expected = torch.tensor([[7 * i + j for j in range(4)] for i in range(4)])
    assert torch.equal(cut - cut[:, :, :1, :1], expected.expand_as(cut))
    assert torch.equal(windows(places, 5), places[:, :, 1:6, 1:6])
    assert torch.equal(windows(places, 7, torch.Generator()), places)


def test_it_learns_from_windows_of_the_size_that_is_asked_for(monkeypatch):
    pretraining = of_set({"batch": 8, "crop_px": 16, "flip": True})
    sizes = []
    forward = pretraining.module.forward
    monkeypatch.setattr(pretraining.module, "forward", lambda images: sizes.append(images.shape[-1]) or forward(images))
    pretraining.loss(0, torch.Generator().manual_seed(0))
    with pretraining.in_eval_mode():
        pretraining.validate()
    assert set(sizes) == {16}
    with pytest.raises(UserError, match="crop_px: 24 px of images of 20 px"):
        of_set({"crop_px": 24})
