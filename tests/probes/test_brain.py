"""The probe on synthetic responses, whose answer is known, and on a file of recordings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from robust3d.brain.rsa import matrix, rdm
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.classifier import Classifier
from robust3d.probes import Subject, brain, features
from robust3d.probes.brain.similarity import rdm_of

COUNT = 400


class Knows(nn.Module):
    """`early` gives the pixels, `late` the mean colour, which here is the class."""

    def __init__(self, classes):
        super().__init__()
        self.early, self.late, self.head = nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Linear(3, classes)

    def forward(self, images):
        return self.head(self.late(self.early(images)).flatten(1))


def pictures():
    """Noise of a strength that differs from place to place, and of three colours, one for each class."""
    generator = np.random.default_rng(0)
    label = np.arange(COUNT) % 3
    strength = generator.uniform(5, 60, (COUNT, 1, 4, 4)).repeat(4, 2).repeat(4, 3)
    pixels = 100 + strength * generator.standard_normal((COUNT, 3, 16, 16))
    pixels[np.arange(COUNT), label] += 60
    data = ImageData.of(torch.tensor(pixels.clip(0, 255).astype(np.uint8)), torch.tensor(label))
    rows = {"class_name": [f"c{i}" for i in label], "instance": [f"dir/im{i:03d}.png" for i in range(COUNT)], "view": 0}
    return replace(data, rows=pd.DataFrame(rows))


def subject(tmp_path, images=None):
    model = Classifier(Architecture("knows", Knows, "head", 3, ("early", "late")), 3).eval()
    return Subject(model, ("c0", "c1", "c2"), "cpu", {"set": images or pictures()}.__getitem__, tmp_path)


def test_the_layer_that_knows_the_class_predicts_the_sites_of_classes(tmp_path):
    params = brain.Params(components=3, synthetic=brain.SyntheticParams(sites=6), regions=("IT",), dimension=None)
    found = brain.probe(params, subject(tmp_path))
    told = found.metrics["regions"]["IT"]
    assert told["layer"] == "late"
    assert told["value"] == pytest.approx(np.sqrt(0.8), abs=0.05) and told["ceiling"] == pytest.approx(0.8, abs=0.03)
    assert told["explained"] == pytest.approx(1, abs=0.1) and told["low"] <= told["value"] <= told["high"]
    assert found.metrics["images"] == {"choose": 100, "report": 300}
    alike = told["rsa"]
    assert alike["layer"] == "late" and alike["low"] < alike["value"] < alike["high"] and alike["value"] > 0.3
    assert alike["lower"] <= alike["upper"] <= 1
    rows = found.outcomes
    assert len(rows) == 2 * 12 and set(rows[rows["chosen"]]["layer"]) == {"late"}
    assert rows[rows["chosen"]]["score"].median() == pytest.approx(told["value"], abs=0.02)


def test_features_are_matched_in_number_and_batches_change_nothing(tmp_path):
    settings = {"components": 3, "synthetic": brain.SyntheticParams(sites=3), "dimension": 50}
    found = [brain.probe(brain.Params(batch_size=size, **settings), subject(tmp_path)) for size in (64, 400)]
    assert found[0].metrics["features"] == {"early": 50, "late": 3}
    np.testing.assert_allclose(found[0].outcomes["score"], found[1].outcomes["score"], atol=1e-5)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"components": 200}, "components: 200 need more than 90 images"),
        ({"regions": ("V1",)}, "regions: synthetic responses have V4, IT, not 'V1'"),
        ({"layers": ("conv9",)}, "layers: knows has no layer 'conv9'; it has early, late"),
    ],
)
def test_what_cannot_be_asked_is_said(tmp_path, params, says):
    with pytest.raises(UserError, match=says):
        brain.probe(brain.Params(**params), subject(tmp_path))


def test_an_assembly_goes_with_its_checksum():
    with pytest.raises(ValueError, match="assembly and sha256 belong together"):
        brain.Params(assembly="a.nc")


def test_recordings_are_matched_by_name_and_checked(tmp_path):
    from robust3d.files import sha256

    h5py = pytest.importorskip("h5py")
    path, text, images = tmp_path / "a.nc", h5py.string_dtype(), pictures()
    shown = np.random.default_rng(3).permutation(np.repeat(np.arange(COUNT), 2))
    truth = images.all().float().mean((2, 3)).numpy()
    with h5py.File(path, "w") as file:
        for name, size in (("neuroid", 3), ("presentation", len(shown))):
            file.create_dataset(name, data=np.zeros(size)).make_scale(name)
        values = truth[shown] + np.random.default_rng(4).standard_normal((len(shown), 3))
        main = file.create_dataset("responses", data=values)
        main.dims[0].attach_scale(file["presentation"])
        main.dims[1].attach_scale(file["neuroid"])
        columns = {"stimulus_id": [f"im{i:03d}" for i in shown], "object_name": [f"c{i % 3}" for i in shown]}
        sites = {"neuroid_id": list("abc"), "region": ["IT"] * 3}
        for axis, labels in (("presentation", columns), ("neuroid", sites)):
            for name, column in labels.items():
                file.create_dataset(name, data=column, dtype=text).dims[0].attach_scale(file[axis])
    settings = {"assembly": str(path), "components": 3, "regions": ("IT",), "layers": ("late",)}
    found = brain.probe(brain.Params(sha256=sha256(path), **settings), subject(tmp_path, images))
    assert found.metrics["regions"]["IT"]["value"] > 0.98
    with pytest.raises(UserError, match=r"its sha256 is .* not that of the key"):
        brain.probe(brain.Params(sha256="0" * 64, **settings), subject(tmp_path, images))
    renamed = replace(images, rows=images.rows.assign(instance=[f"x{i}.png" for i in range(COUNT)]))
    with pytest.raises(UserError, match="400 of 400 images have no response, such as 'x0'; it has 'im000'"):
        brain.probe(brain.Params(sha256=sha256(path), **settings), subject(tmp_path, renamed))


def test_a_row_has_what_enters_the_last_layer(tmp_path):
    images = pictures()
    one = subject(tmp_path, images)
    both = Subject(
        one.model, one.classes, "cpu", {"set": images, "relit": images}.__getitem__, tmp_path, ("set", "relit")
    )
    found = features.probe(features.Params(batch_size=150), both)
    with torch.no_grad():
        shown = both.model.normalise(images.all().float() / 255)
        expected = both.model.network.late(both.model.network.early(shown)).flatten(1).numpy()
    for name in ("set", "relit"):
        rows = found.outcomes[found.outcomes["images"] == name]
        assert rows["image"].tolist() == list(range(len(images)))
        assert np.allclose(rows[["feature0000", "feature0001", "feature0002"]], expected, atol=1e-5)
    assert found.metrics == {"features": 3} and not both.model.network.head._forward_pre_hooks


def test_dissimilarities_are_those_by_correlation_and_an_image_without_features_is_unrelated_to_all():
    values = np.random.default_rng(0).standard_normal((6, 9))
    assert np.array_equal(rdm_of(values), rdm(values))
    dead = values.copy()
    dead[2] = 0.0
    square, others = matrix(rdm_of(dead)), [0, 1, 3, 4, 5]
    assert (square[2, others] == 1).all()
    assert np.allclose(square[np.ix_(others, others)], matrix(rdm(values))[np.ix_(others, others)])
