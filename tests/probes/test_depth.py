"""Depth from frozen features: errors by hand, heads that learn what is there, and a plane whose depth is its colour."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

from robust3d.architectures import architecture
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.classifier import Classifier
from robust3d.probes import Subject, depth
from robust3d.probes.depth.task import Linear, errors_of, log_loss

torch.set_num_threads(1)
PX = 32


def test_errors_by_hand():
    found = errors_of(torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([1.0, 1.0, 4.0, 10.0]))
    assert found["rmse"] == pytest.approx(math.sqrt((0 + 1 + 0 + 4) / 4))
    assert found["abs_rel"] == pytest.approx((0 + 1 + 0 + 0.2) / 4)
    # The ratios are 1, 2, 1 and 1.25, which is not below 1.25.
    assert (found["delta1"], found["delta2"], found["delta3"]) == (0.5, 0.75, 0.75)


def test_the_loss_forgives_a_common_factor_in_part():
    truth, known = torch.full((1, 4, 4), 2.0), torch.ones(1, 4, 4, dtype=torch.bool)
    assert float(log_loss(2 * truth, truth, known)) == pytest.approx(math.log(2) * math.sqrt(1 - 0.85), rel=1e-4)
    known[:, 2:] = False
    other = truth.clone()
    other[:, 2:] = 99.0
    assert float(log_loss(other, truth, known)) < 1e-5  # unknown pixels have no part in it


def scenes(count, seed):
    """Planes whose brightness is their depth, of which a half is known."""
    generator = torch.Generator().manual_seed(seed)
    bright = torch.rand(count, 1, 2, 2, generator=generator).repeat_interleave(PX // 2, 2).repeat_interleave(PX // 2, 3)
    pixels = (bright * 255).round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    depths = 2 + bright[:, 0]
    depths[:, :, :8] = float("inf")
    given = ImageData.of(pixels, torch.zeros(count, dtype=torch.int64))
    return replace(given, rows=pd.DataFrame(index=range(count)), read_depths=lambda places: depths[places])


@pytest.mark.parametrize("head", ["linear", "dpt"])
def test_a_head_on_a_random_network_beats_the_mean_depth(tmp_path, head):
    model = Classifier(architecture("resnet18"), 2, seed=0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train, tested = scenes(60, 0), scenes(20, 1)
    asked = Subject(model, ("a", "b"), "cpu", lambda _: tested, tmp_path, ("set",), lambda _: train)
    found = depth.probe(depth.Params(head=head, steps=60, batch=16, bins=32, width=16, learning_rate=3e-3), asked)
    assert found.metrics["rmse"] < 0.7 * found.metrics["mean_depth_rmse"]
    assert found.metrics["mean_depth"] == pytest.approx(2.5, abs=0.05)
    assert len(found.outcomes) == 20 and found.outcomes["rmse"].mean() == pytest.approx(found.metrics["rmse"])
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())  # frozen


def test_the_linear_head_is_that_of_the_enlarged_tokens():
    """The literal order, DINOv2's: enlarge, normalise, convolve."""
    torch.manual_seed(0)
    head = Linear(6, depth.Params(bins=5, upscale=4))
    for _ in range(3):
        head(3 + 2 * torch.randn(8, 6, 4, 4))  # statistics that are not 0 and 1
    head.eval()
    features = torch.randn(2, 6, 3, 5)
    larger = torch.nn.functional.interpolate(features, scale_factor=4, mode="bilinear", align_corners=False)
    assert torch.allclose(head(features), head.scores(head.norm(larger)), atol=1e-5)


def test_images_without_depth_are_refused(tmp_path):
    model = Classifier(architecture("resnet18"), 2, seed=0).eval()
    bare = replace(scenes(4, 0), read_depths=None)
    asked = Subject(model, ("a", "b"), "cpu", lambda _: bare, tmp_path, ("set",), lambda _: bare)
    with pytest.raises(UserError, match="these images have no depth"):
        depth.probe(depth.Params(), asked)
