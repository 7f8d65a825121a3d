"""Total variation with a closed form, and filters whose nearest ones are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from robust3d.architectures import architecture
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.classifier import Classifier
from robust3d.probes import Subject, smoothness
from robust3d.probes.smoothness.filters import Pair, draw_pairs, first_filters, nearest_filters
from robust3d.probes.smoothness.variation import kernel_variation, variation


def test_the_variation_of_a_constant_is_0_of_a_step_its_height_times_its_length():
    assert variation(torch.full((5, 7), 3.0)) == 0
    step = torch.zeros(2, 6, 9)
    step[0, :, 4:], step[1, 2:, :] = 2.5, -1.0
    assert variation(step).tolist() == [6 * 2.5, 9 * 1.0]
    ramp = torch.arange(4.0)[:, None] + 10 * torch.arange(3.0)
    assert variation(ramp) == 3 * 3 * 1 + 4 * 2 * 10


def test_kernels_count_by_layer_and_single_pixels_do_not():
    network = nn.Sequential(nn.Conv2d(2, 2, 2), nn.Conv2d(2, 3, 1), nn.Conv2d(4, 4, (1, 2), groups=4))
    with torch.no_grad():
        network[0].weight[0] = torch.tensor([[[1.0, 0], [0, 0]], [[0, 0], [0, 3]]])  # 2 + 6
        network[0].weight[1] = 5.0  # 0
        network[2].weight.copy_(torch.tensor([1.0, -1.0]).expand(4, 1, 1, 2))  # 2 each
    told = kernel_variation(network)
    assert told["layers"]["0"] == {"kernels": 2, "size_px": [2, 2], "variation": 4.0, "relative": 8 / 44}
    assert told["layers"]["2"]["variation"] == 2 and told["layers"]["2"]["relative"] == 1
    assert list(told["layers"]) == ["0", "2"]
    assert told["mean_of_layers"] == 3 and told["mean_of_kernels"] == pytest.approx((2 * 4 + 4 * 2) / 6)
    assert kernel_variation(nn.Linear(2, 2))["mean_of_layers"] is None


def test_the_relative_variation_does_not_know_the_scale():
    network = nn.Conv2d(3, 8, 5)
    before = kernel_variation(network)
    with torch.no_grad():
        network.weight *= 4
    after = kernel_variation(network)
    assert after["mean_of_layers"] == pytest.approx(4 * before["mean_of_layers"])
    assert after["relative"] == pytest.approx(before["relative"])


def blank(count, side=16):
    data = ImageData.of(torch.full((count, 3, side, side), 128, dtype=torch.uint8), torch.zeros(count).long())
    rows = pd.DataFrame({"class_name": "cube", "instance": [f"{i}" for i in range(count)], "view": 0})
    return replace(data, rows=rows, background="black")


class Passes(nn.Module):
    """Its first layer passes a channel on, smooths another and drops the third."""

    def __init__(self, classes):
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 3, 5, padding=2, padding_mode="circular", bias=False), nn.Linear(3, 2)
        with torch.no_grad():
            self.first.weight.zero_()
            self.first.weight[0, 0, 2, 2] = 1
            self.first.weight[1, 1] = 1 / 25

    def forward(self, images):
        return self.head(self.first(images).mean((2, 3)))


def subject(images, tmp_path):
    model = Classifier(Architecture("passes", Passes, "head", 3, ("first",)), 2).eval()
    model.normalise = nn.Identity()
    return Subject(model, ("a", "b"), "cpu", {"set": images}.__getitem__, tmp_path)


def test_a_smooth_filter_keeps_the_noise_out(tmp_path):
    """The mean |difference| of two normal values is 2σ/√π; each of 16x16 pixels meets 2·15/16 neighbours."""
    params = smoothness.Params(batch_size=7)
    found = smoothness.probe(params, subject(blank(40), tmp_path))
    maps = found.metrics["maps"]["first"]
    assert maps["clean"] == pytest.approx([0, 0, 0], abs=1e-3) and maps["noisy"][2] == 0
    assert maps["noisy"][0] == pytest.approx(2 * 16 * 15 * 2 * 0.08 / np.pi**0.5, rel=0.02)
    assert maps["noisy"][1] < maps["noisy"][0] / 5
    assert found.outcomes.columns.tolist() == ["images", "image", "layer", "clean_variation", "noisy_variation"]
    assert found.outcomes["noisy_variation"].mean() == pytest.approx(np.mean(maps["noisy"]))
    again = smoothness.probe(params.model_copy(update={"batch_size": 40}), subject(blank(40), tmp_path))
    np.testing.assert_allclose(again.metrics["maps"]["first"]["noisy"], maps["noisy"], rtol=1e-6)


def test_noise_belongs_to_the_image_and_not_to_its_place(tmp_path):
    images = blank(3)
    turned = replace(images, rows=images.rows.iloc[::-1].reset_index(drop=True))
    found = [smoothness.probe(smoothness.Params(), subject(given, tmp_path)).outcomes for given in (images, turned)]
    first, second = (table["noisy_variation"].tolist() for table in found)
    assert first == pytest.approx(second[::-1]) and len(set(first)) == 3


def test_a_layer_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="passes has no layer 'conv1'; it has first"):
        smoothness.probe(smoothness.Params(layers=("conv1",)), subject(blank(2), tmp_path))


def test_the_nearest_filter_is_the_one_scipy_ranks_highest():
    generator = np.random.default_rng(0)
    ours, others = generator.normal(size=(6, 3, 4, 4)), generator.normal(size=(9, 3, 4, 4)).round(1)  # with ties
    others[4] = np.exp(ours[2])  # ranked alike
    pairs = nearest_filters(ours, others)
    for pair, one in zip(pairs, ours, strict=True):
        each = [spearmanr(one.ravel(), other.ravel()).statistic for other in others]
        assert pair.nearest == int(np.argmax(each)) and pair.spearman == pytest.approx(max(each))
    assert pairs[2].nearest == 4 and pairs[2].spearman == pytest.approx(1)
    difference = variation(torch.tensor(ours[2])).sum() - variation(torch.tensor(others[4])).sum()
    assert pairs[2].variation_difference == pytest.approx(float(difference))


def test_a_filter_of_one_value_is_like_nothing():
    ours, others = np.ones((2, 3, 2, 2)), np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    assert all(pair.nearest == -1 and np.isnan(pair.spearman) for pair in nearest_filters(ours, others))
    assert all(pair.nearest == -1 for pair in nearest_filters(others, ours))
    with pytest.raises(UserError, match=r"\(3, 2, 2\) cannot be compared with filters of \(3, 3, 3\)"):
        nearest_filters(ours, np.ones((2, 3, 3, 3)))


def test_pairs_are_drawn_above_each_other():
    ours, others = np.zeros((3, 3, 2, 2)), np.zeros((3, 3, 2, 2))
    ours[:, 0, 0, 0], others[1, 1, 1, 1] = 1, -1
    pairs = [Pair(0, 1, 0.5, 3.0), Pair(1, -1, np.nan, np.nan), Pair(2, 1, 0.25, -1.0)]
    picture = np.array(draw_pairs(ours, others, pairs, ("S", "R"), columns=2, cell_px=40))
    one = np.array(draw_pairs(ours, others, pairs[:2], ("S", "R"), columns=2, cell_px=40))
    assert picture.shape[0] > 1.8 * one.shape[0] and picture.shape[1] == one.shape[1]
    colours = set(map(tuple, picture.reshape(-1, 3)))
    assert {(255, 0, 0), (255, 0, 255), (128, 128, 128)} <= colours  # ours' corner, theirs without green, none
    with pytest.raises(UserError, match="1 channels cannot be drawn"):
        draw_pairs(ours[:, :1], others[:, :1], pairs, ("S", "R"))


def test_first_filters_are_those_that_see_the_image():
    network = architecture("alexnet")
    state = network.network(3).state_dict()
    assert first_filters(network, state, "x").shape == (64, 3, 11, 11)
    with pytest.raises(UserError, match=r"x\.safetensors: no kernels 'features\.0\.weight'"):
        first_filters(network, {}, "x.safetensors")
