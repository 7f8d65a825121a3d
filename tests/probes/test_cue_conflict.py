"""Decisions for shape or texture, on images whose answers are counted by hand."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from robust3d.architectures import architecture
from robust3d.data.cues import shares
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.classifier import Classifier
from robust3d.probes import Subject, cue_conflict
from robust3d.stages.probe import _with_facts

CLASSES = tuple("abc")


class Channels(nn.Module):
    """Logit k is the mean of channel k, so the answer is an image's strongest colour."""

    def __init__(self, classes):
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 3, 1, bias=False), nn.Linear(3, classes, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(3)[:, :, None, None])
            self.head.weight.copy_(torch.eye(3))

    def forward(self, images):
        return self.head(self.first(images).mean((2, 3)))


def subject(answers, shapes, textures, classes=CLASSES, **rows):
    """A classifier that gives each image the answer wanted."""
    strongest = torch.eye(3)[[CLASSES.index(answer) for answer in answers]]
    pixels = (255 * strongest).to(torch.uint8)[:, :, None, None].expand(-1, 3, 4, 4).contiguous()
    data = ImageData.of(pixels, torch.zeros(len(pixels), dtype=torch.int64))
    table = pd.DataFrame({"shape": list(shapes), "texture": list(textures), **rows})
    model = Classifier(Architecture("channels", Channels, "head", 3, ("first",)), 3).eval()
    model.normalise = nn.Identity()
    return Subject(model, classes, "cpu", {"set": replace(data, rows=table)}.__getitem__, Path())


def test_decisions_and_shares_are_those_counted_by_hand():
    found = cue_conflict.probe(cue_conflict.Params(batch_size=2), subject("aabbccaa", "aaaabbca", "bbbbaaca"))
    outcomes = found.outcomes
    assert outcomes["image"].tolist() == [0, 1, 2, 3, 4, 5]  # the last two show one class by both cues
    assert outcomes["decision"].tolist() == ["shape", "shape", "texture", "texture", "neither", "neither"]
    assert outcomes.loc[4].tolist() == ["set", 4, "b", "a", "c", "neither"]
    metrics = found.metrics
    assert (metrics["images"], metrics["same_cue"]) == (8, {"images": 2, "correct": 1})
    assert [metrics[name] for name in ("decisions", "shape", "texture", "neither")] == [6, 2, 2, 2]
    assert [metrics[f"{name}_share"] for name in ("shape", "texture", "neither")] == [0.5, 0.5, 2 / 6]
    assert set(metrics["by_shape"]) == {"a", "b"} and metrics["by_shape"]["a"]["decisions"] == 4
    assert metrics["by_texture"]["a"] == {"decisions": 2, "shape": 0, "texture": 0, "neither": 2} | {
        "shape_share": None, "texture_share": None, "neither_share": 1.0
    }  # fmt: skip


def test_known_numbers_give_the_known_share():
    """AlexNet's published 283 of 659; the rest of the 1,200 are neither."""
    found = shares(["shape"] * 283 + ["texture"] * 376 + ["neither"] * 541 + ["same cue"] * 80)
    assert found["shape_share"] == 283 / 659 and found["neither_share"] == 541 / 1200
    assert shares([])["shape_share"] is None and shares(["same cue"])["neither_share"] is None


def test_the_facts_of_an_image_do_not_hide_the_probes_columns():
    """The set's own column `texture` would double the outcome's."""
    found = cue_conflict.probe(cue_conflict.Params(), subject("ab", "aa", "bb"))
    rows = pd.DataFrame({"class_name": ["a", "a"], "instance": ["1", "2"], "view": 0, "texture": "b"})
    merged = _with_facts(found.outcomes, {"set": rows})
    assert merged["instance"].tolist() == ["1", "2"] and merged["texture"].tolist() == ["b", "b"]
    assert not [name for name in merged if name.endswith(("_x", "_y"))]


@pytest.mark.parametrize(
    ("change", "params", "says"),
    [
        ({"textures": "bd"}, {}, "set: the texture of an image is 'd', which is not among a, b, c"),
        ({"textures": "aa"}, {}, "shape and texture of every image speak for one class"),
        ({}, {"answers": "imagenet16"}, "the shape of an image is 'a', which is not among airplane"),
    ],
)
def test_bad_sets_are_named(change, params, says):
    given = {"answers": "ab", "shapes": "aa", "textures": "bb"} | change
    with pytest.raises(UserError, match=says):
        cue_conflict.probe(cue_conflict.Params(**params), subject(**given))


def test_a_set_without_cues_is_refused():
    plain = subject("ab", "aa", "bb")
    rows = pd.DataFrame({"class_name": ["a", "b"], "instance": ["1", "2"], "texture": ""})
    bare = replace(plain, images=lambda name: replace(plain.images(name), rows=rows))
    with pytest.raises(UserError, match=r"no column 'shape' in its table\); cue_conflict needs a set"):
        cue_conflict.probe(cue_conflict.Params(), bare)


def test_the_sixteen_need_a_classifier_of_imagenet():
    given = subject("ab", ["cat", "dog"], ["dog", "cat"])
    with pytest.raises(UserError, match="sixteen classes are made of ImageNet's 1,000; this classifier has 3"):
        cue_conflict.probe(cue_conflict.Params(answers="imagenet16"), given)
    big = replace(given, model=Classifier(architecture("resnet18"), 1000).eval(), classes=("?",) * 1000)
    found = cue_conflict.probe(cue_conflict.Params(answers="imagenet16"), big)
    assert len(found.outcomes) == 2 and found.metrics["aggregation"] == "mean"


def test_aggregations_belong_to_the_sixteen():
    with pytest.raises(ValidationError, match="belongs to answers: imagenet16"):
        cue_conflict.Params(aggregation="max")
