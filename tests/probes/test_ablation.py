"""Channels that are zeroed: the short way against whole forward passes, and scores that are counted by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from robust3d.architectures import architecture
from robust3d.data.cues import cues
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture, batch_norms
from robust3d.models.classifier import Classifier
from robust3d.models.halves import halves, zeroed
from robust3d.probes import Subject, ablation
from robust3d.probes.ablation import channels

CLASSES = tuple("abcd")


def noise(count, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def conflicts(pixels, shapes, textures):
    data = ImageData.of(pixels, torch.zeros(len(pixels), dtype=torch.int64))
    return replace(data, rows=pd.DataFrame({"shape": list(shapes), "texture": list(textures)}))


def asked(model, images, tmp_path, classes=CLASSES):
    return Subject(model, classes, "cpu", {"set": images}.__getitem__, tmp_path)


def largest(logits):
    return logits.argmax(1)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "relu"),
        ("resnet18", "layer2"),
        ("resnet18", "avgpool"),
        ({"name": "alexnet", "params": {"stem": "small"}}, "features.4"),
        ({"name": "alexnet", "params": {"stem": "small"}}, "classifier.2"),
        ("googlenet", "conv2"),
        ("googlenet", "inception4a"),
    ],
)
def test_the_short_way_gives_the_bits_of_whole_passes(name, layer):
    model = Classifier(architecture(name), 4).to(memory_format=torch.channels_last)
    images = model.normalise(noise(5).float() / 255)
    if name == "googlenet":  # its random maps fade away unless the batch norms know how faint they are
        for norm in batch_norms(model):
            norm.momentum = None
        model.network.train()(images)
    model.eval()
    first, rest = halves(model.network, layer)
    with torch.inference_mode():
        output, *others = first(images)
        strongest = int(output.transpose(0, 1).flatten(1).sum(1).argmax())
        for channel in (output.shape[1] - 1, strongest):
            with zeroed(model.network, layer, channel):
                whole = model.network(images)
            changed = output.clone()
            changed[:, channel] = 0
            assert torch.equal(rest((changed, *(other.clone() for other in others))), whole)
        assert not torch.equal(whole, model.network(images))


def test_a_layer_on_one_of_two_branches_is_cut_with_the_other_branch():
    """A block's own convolution: what goes around it is needed after it."""
    network = architecture("resnet18").network(4).eval()
    first, rest = halves(network, "layer1.0.conv2")
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        handed = first(images)
        assert len(handed) == 2 and torch.equal(rest(handed), network(images))


class Forked(nn.Module):
    """What it does depends on values, so it can only be run whole."""

    def __init__(self, classes):
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)

    def forward(self, images):
        maps = self.first(images)
        return self.head(maps.mean((2, 3)) if maps.sum() > 0 else maps.amax((2, 3)))


FORKED = Architecture("forked", Forked, "head", 4, ("first",))


def test_a_network_that_cannot_be_cut_is_run_whole_and_says_so(tmp_path):
    model = Classifier(FORKED, 4).eval()
    images = noise(6, 8)
    _, after, way = channels.answers_without(model, "first", 4, [lambda: images.float() / 255], largest)
    assert way == channels.DIRECT and after.shape == (4, 6)
    found = ablation.probe(ablation.Params(), asked(model, conflicts(images, "abcdab", "bcdabc"), tmp_path))
    assert found.metrics["layers"]["first"]["way"] == "direct"


@pytest.mark.parametrize("layer", ["relu", "layer3", "layer4"])
def test_both_ways_answer_alike(layer):
    model = Classifier(architecture("resnet18"), 4).eval().to(memory_format=torch.channels_last)
    count = 64 if layer == "relu" else 24  # of the layer's channels
    batches = [lambda n=n: noise(4, seed=n).float() / 255 for n in range(2)]
    decide = torch.clone  # logits themselves, the strictest answer
    ways = [channels.answers_without(model, layer, count, batches, decide, way) for way in (None, "direct")]
    assert [way for *_, way in ways] == ["cached", "direct"]
    for cached, direct in zip(ways[0][:2], ways[1][:2], strict=True):
        np.testing.assert_array_equal(cached, direct)


class Sums(nn.Module):
    """Logit k is the sum of channel k of the image's own pixels, and of a fourth channel that is constant."""

    def __init__(self, classes):
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, classes, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(4)[:, :3, None, None])
            self.first.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.5]))
            self.head.weight.copy_(torch.eye(4))

    def forward(self, images):
        return self.head(self.first(images).mean((2, 3)))


def coloured(*colours):
    return (255 * torch.tensor(colours)).round().to(torch.uint8)[:, :, None, None].expand(-1, 3, 4, 4).contiguous()


def test_scores_are_lost_decisions(tmp_path):
    """The answer is the strongest of red, green, blue and 0.5; without its channel it is the second."""
    pixels = coloured([0.9, 0.8, 0.0], [0.9, 0.1, 0.7], [0.1, 0.9, 0.2], [0.2, 0.1, 0.0], [0.7, 0.0, 0.0])
    images = conflicts(pixels, "abcda", "bcbaa")  # shape, texture, texture, shape ("d" is the constant), same cue
    model = Classifier(Architecture("sums", Sums, "head", 4, ("first",)), 4).eval()
    model.normalise = nn.Identity()
    told = ablation.probe(ablation.Params(batch_size=2), asked(model, images, tmp_path))
    # Answers: a, a, b, d, a. Image 1 shows shape b and texture c, so "a" is neither.
    assert told.metrics["decided"] == {"shape": 2, "texture": 1, "neither": 1, "same cue": 1}
    assert told.metrics["layers"] == {"first": {"shape": [1, 0, 0, 1], "texture": [0, 1, 0, 0], "way": "cached"}}
    intact = told.outcomes[told.outcomes["layer"] == ""]
    assert intact["answer"].tolist() == list("aabda")
    assert intact["cue"].tolist() == ["shape", "neither", "texture", "shape", "same cue"]
    lost = told.outcomes[told.outcomes["layer"] == "first"].sort_values("image")
    assert lost[["image", "channel", "answer"]].values.tolist() == [[0, 0, "b"], [2, 1, "d"], [3, 3, "a"]]


def test_answers_may_be_coarser_than_classes(tmp_path):
    """With a and b one answer, nothing is lost where b takes over from a."""
    pixels = coloured([0.9, 0.8, 0.0], [0.9, 0.0, 0.8])
    images = conflicts(pixels, ["ab", "ab"], ["cd", "cd"])
    model = Classifier(Architecture("sums", Sums, "head", 4, ("first",)), 4).eval()
    model.normalise = nn.Identity()
    subject = asked(model, images, tmp_path)
    told = ablation.ablation(ablation.Params(), subject, ("ab", "cd"), lambda logits: logits.argmax(1) // 2)
    assert told.metrics["layers"]["first"]["shape"] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "layers", "says"),
    [
        ({"rows": pd.DataFrame({"texture": ["", ""]})}, (), "no column 'shape'"),
        ({"rows": pd.DataFrame({"shape": ["a", "e"], "texture": ["b", "b"]})}, (), "shape of an image is 'e'"),
        ({"rows": pd.DataFrame({"shape": ["a", "b"], "texture": ["a", "b"]})}, (), "no decision can be told apart"),
        ({}, ("first", "third"), "forked has no layer 'third'; it has first"),
        ({}, ("first", "first"), "layers: 'first' is named more than once"),
    ],
)
def test_bad_input_is_named(change, layers, says, tmp_path):
    images = replace(conflicts(noise(2, 8), "ab", "bc"), **change)
    with pytest.raises(UserError, match=says):
        ablation.probe(ablation.Params(layers=layers), asked(Classifier(FORKED, 4).eval(), images, tmp_path))


def test_the_published_pictures_say_their_cues_by_their_names():
    from robust3d.data.imagenet16 import CLASSES as SIXTEEN

    files = ["cat/cat7-bear1.png", "dog/dog2-dog1.png"]
    images = replace(conflicts(noise(2, 8), "ab", "bc"), rows=pd.DataFrame({"instance": files, "texture": ""}))
    shape, texture = cues(images, SIXTEEN, "ablation")
    assert [SIXTEEN[n] for n in shape] == ["cat", "dog"] and [SIXTEEN[n] for n in texture] == ["bear", "dog"]
    with pytest.raises(UserError, match=r"cat1\.png: a cue-conflict picture is named like"):
        cues(replace(images, rows=images.rows.assign(instance="cat1.png")), SIXTEEN, "ablation")


def test_the_sixteen_are_answers_of_imagenets_classifiers_only(tmp_path):
    rows = pd.DataFrame({"instance": ["cat/cat7-bear1.png", "dog/dog2-cat1.png"], "texture": ""})
    images = replace(conflicts(noise(2), "ab", "bc"), rows=rows)
    params = ablation.Params(answers="imagenet16", layers=("avgpool",))
    found = ablation.probe(params, asked(Classifier(architecture("resnet18"), 1000).eval(), images, tmp_path))
    assert sum(found.metrics["decided"].values()) == 2
    with pytest.raises(UserError, match="this classifier has 4"):
        ablation.probe(params, asked(Classifier(architecture("resnet18"), 4).eval(), images, tmp_path))
