"""Quantiles against NumPy's, units whose overlap with a concept has a closed form, and what others published."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from robust3d.data.concepts import COLOURS, Concepts, Labelled, colour_names
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.classifier import Classifier
from robust3d.probes import Subject, dissection
from robust3d.probes.dissection.overlaps import Overlaps, active, read_labels, together
from robust3d.probes.dissection.quantiles import Quantiles
from robust3d.probes.dissection.units import (
    best_concepts,
    detectors,
    diversity,
    draw_top_images,
    read_units,
    why_void,
)

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "netdissect_reference"


def streamed(values, bins=8192, parts=7):
    """Of values (units, n), handed over in parts."""
    stream = Quantiles(len(values), bins)
    for part in np.array_split(values, parts, axis=1):
        stream.add(torch.from_numpy(part.astype(np.float32))[None])
    return stream


def exact(values, share):
    return np.quantile(values.astype(np.float32).astype(np.float64), 1 - share, axis=1, method="inverted_cdf")


@pytest.mark.parametrize("share", [0.005, 0.01, 0.3, 0.75])
@pytest.mark.parametrize("bins", [64, 8192])
def test_the_streamed_quantile_is_within_its_stated_error(share, bins):
    generator = np.random.default_rng(0)
    n = 20_011
    values = np.stack(
        [
            generator.normal(size=n),
            np.maximum(generator.normal(size=n) - 1.5, 0),  # behind a ReLU, mostly 0
            generator.lognormal(0, 3, n) * 1e-6,
            np.sort(generator.normal(size=n)) * 1e3,  # ever larger
            -generator.exponential(size=n),
            np.where(np.arange(n) == n - 1, 1e6, generator.normal(size=n)),  # an outlier at the end
            np.zeros(n),
            np.where(generator.random(n) < 0.001, 5.0, 0.0),  # on too seldom: the quantile is 0
        ]
    )
    found, bound = streamed(values, bins).above(share)
    truth = exact(values, share)
    assert (found.numpy() >= truth).all() and (found.numpy() - truth <= bound.numpy()).all()
    assert (bound.numpy() <= np.abs(values).max(1).astype(np.float32) * 4 / bins * (1 + 1e-6)).all()
    assert (bound.numpy()[truth == 0] == 0).all() and (found.numpy()[truth == 0] == 0).all()
    above = (values.astype(np.float32) > found.numpy()[:, None]).mean(1)
    assert (above <= share).all()


def test_the_share_above_a_threshold_is_within_a_thousandth():
    values = np.random.default_rng(1).normal(size=(5, 100_000)) ** 2
    found, _ = streamed(values).above(0.005)
    above = (values > found.numpy()[:, None]).mean(1)
    assert (np.abs(above - 0.005) < 1e-4).all()


def test_a_unit_that_saturates_is_on_where_it_is_at_its_largest_value():
    """Bau et al. count activations at the threshold; no value has exactly the share above it."""
    generator = np.random.default_rng(3)
    values = generator.random((5, 8000)) * 5
    values[0, generator.permutation(8000)[:320]] = 6.0  # 4 %, an edge of a bin
    values[1, :320] = 6.3
    values[2, :30] = 6.3  # less than the share: an ordinary quantile
    values[3], values[4] = 6.3, 0  # constant
    found, bound = streamed(values).above(0.005)
    on = values.astype(np.float32) * (1 - 1e-6) > found.numpy()[:, None]  # as scaling may round
    assert on.sum(1).tolist()[:2] == [320, 320] and 35 <= on[2].sum() <= 40 and not on[3:].any()
    assert (found.numpy()[:2] < [6.0, np.float32(6.3)]).all() and (bound.numpy()[:2] < 6.3 / 65_000).all()
    assert streamed(values).saturated(0.005).tolist() == [True, True, False, False, False]
    assert not streamed(values).saturated(0.05).any()


def test_parts_and_order_of_a_stream_do_not_matter():
    values = np.random.default_rng(2).lognormal(0, 4, (3, 5000))
    values[:, ::3] = 0
    values[2, 40:400] = 1e9  # saturates
    one, many, turned = streamed(values, parts=1), streamed(values, parts=50), streamed(values[:, ::-1].copy(), parts=9)
    for other in (many, turned):
        assert all(torch.equal(a, b) for a, b in zip(one.above(0.01), other.above(0.01), strict=True))


def test_memory_does_not_grow_with_the_stream():
    stream = Quantiles(4, 1024)
    sizes = set()
    for scale in np.logspace(-9, 9, 40):
        stream.add(torch.rand(5, 4, 6, 6) * float(scale))
        held = [value for value in vars(stream).values() if isinstance(value, torch.Tensor)]
        sizes.add(sum(value.nbytes for value in held))
    assert len(sizes) == 1 and int(stream.counts.sum() + stream.zeros.sum()) == 4 * stream.total == 4 * 40 * 5 * 36


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(UserError, match="infinite or no numbers"):
        Quantiles(1).add(torch.tensor([[[1.0, float("nan")]]]))


def test_overlaps_are_sums_over_the_set_and_count_units_on_labelled_images_only():
    concepts = Concepts(("dot", "line", "red"), ("object", "object", "color"), lambda places: [])
    counts = Overlaps(2, concepts, readings=2)
    on = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1]]).bool()
    dot, line = (np.array(mask, bool).reshape(2, 2) for mask in ([1, 0, 1, 0], [0, 0, 0, 1]))
    first = read_labels(Labelled(2, 2, {"object": [(0, dot)], "color": [(2, None)]}), concepts.categories)
    second = read_labels(Labelled(2, 2, {"object": [(1, line)]}), concepts.categories)  # not labelled with colours
    counts.add(on, together([first, second]))
    counts.add(on, together([second, first]))
    # Unit 0, dot: both 1, unit 4 pixels on two images of objects, concept 2. Colour: both 2, unit 2, concept 4.
    expected = [[1 / 5, 0, 2 / 4], [0, 1 / 2, 1 / 4]]
    assert counts.iou().tolist() == [expected, expected] and counts.images.tolist() == [
        2,
        2,
    ]  # `on` is the same in both
    large = read_labels(Labelled(4, 4, {"object": [(0, dot.repeat(2, 0).repeat(2, 1))]}), concepts.categories)
    assert together([second, large]).masks[1].tolist() == dot.ravel().tolist()
    empty = together([read_labels(Labelled(2, 2), concepts.categories)])
    assert empty.masks.shape == (0, 4) and empty.places.shape == (0, 2) and empty.kinds == []


def test_maps_are_scaled_as_pillow_scales_them():
    from PIL import Image

    maps = torch.rand(3, 7, 7)
    for side in (16, 7, 4):
        image = [Image.fromarray(one.numpy()).resize((side, side), Image.Resampling.BILINEAR) for one in maps]
        scaled = torch.from_numpy(np.stack([np.array(one) for one in image])).flatten(1)
        safe = (scaled - 0.5).abs() > 1e-5
        assert torch.equal(active(maps, torch.full((3,), 0.5), side, side)[safe], (scaled > 0.5)[safe])


class Planted(nn.Module):
    """Units that are the red, green and blue of the image."""

    def __init__(self, classes):
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 3, 1, bias=False), nn.Linear(3, classes)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(3)[:, :, None, None])

    def forward(self, images):
        return self.head(self.first(images).mean((2, 3)))


class Pooled(Planted):
    """Units that are the largest red, green and blue of the image, 2 x 2 times, as behind a max-pool of small maps."""

    def __init__(self, classes):
        super().__init__(classes)
        self.first = nn.Sequential(self.first, nn.AdaptiveMaxPool2d(2), nn.MaxPool2d(3, 1, 1))


def planted(pixels, tmp_path, concepts=None, network=Planted, **others):
    rows = pd.DataFrame({"class_name": ["ball", "cube"] * (len(pixels) // 2), "texture": ""})
    data = replace(ImageData.of(pixels, torch.zeros(len(pixels)).long()), rows=rows, concepts=concepts, **others)
    model = Classifier(Architecture("planted", network, "head", 3, ("first",)), 2).eval()
    model.normalise = nn.Identity()
    return Subject(model, ("ball", "cube"), "cpu", {"set": data}.__getitem__, tmp_path), data


def test_a_unit_that_is_the_mask_has_iou_1_and_a_random_one_the_closed_form(tmp_path):
    """Red is the mask; green is on at random at a share q of all positions, so of p its IoU is qp / (q + p - qp)."""
    generator = np.random.default_rng(0)
    count, side, p, q = 40, 32, 0.1, 0.1
    masks = np.zeros((count, side, side), bool)
    masks[:20, 4:15, 6:15] = True  # 99 of 1024 pixels
    masks[20:, 10:20, 10:20] = True
    p = masks.mean()
    pixels = np.zeros((count, 3, side, side), np.uint8)
    pixels[:, 0] = 200 * masks
    pixels[:, 1] = generator.integers(0, 256, (count, side, side))
    concepts = Concepts(
        ("it",), ("object",), lambda at: [Labelled(side, side, {"object": [(0, masks[i])]}) for i in at]
    )
    subject, _ = planted(torch.from_numpy(pixels), tmp_path, concepts)
    found = dissection.probe(dissection.Params(share=q, batch_size=7), subject)
    layer = found.metrics["layers"]["first"]
    on = (pixels[:, 1] > 255 * layer["threshold"][1]).mean()
    assert on == pytest.approx(q, abs=0.005)
    assert layer["score"][0] == 1 and layer["threshold"][2] == 0 and layer["score"][2] == 0
    assert layer["score"][1] == pytest.approx(on * p / (on + p - on * p), rel=0.05)
    assert layer["detectors"] == {"units": 2, "concepts": 1, "by_category": {"object": 2}}
    assert layer["diversity"] == [1, 1, 0] and layer["label"] == ["it", "it", None]


@pytest.mark.parametrize(("share", "images_on"), [(0.05, [5, 2]), (0.02, [2, 2]), (0.005, [1, 2])])
def test_a_unit_behind_a_max_pool_is_on_in_whole_images(tmp_path, share, images_on):
    """Of 100 images a share of 5 % is 5; half an image is one. Two of the largest value are both on."""
    pixels = torch.zeros(100, 3, 8, 8, dtype=torch.uint8)
    pixels[:, 0, 3, 3] = torch.arange(100)
    pixels[torch.tensor([31, 70]), 1] = 200
    subject, _ = planted(
        pixels, tmp_path, network=Pooled, read_masks=lambda places: torch.ones(len(places), 8, 8).bool()
    )
    found = dissection.probe(dissection.Params(share=share), subject).metrics
    layer = found["layers"]["first"]
    assert layer["images_on"] == [*images_on, 0] and layer["label"][2] is None
    assert layer["saturated"] == {0.05: 0, 0.02: 0, 0.005: 2}[share]
    assert found["whole_images"] == pytest.approx(100 * share) and (found["void"] is None) == (share == 0.05)


def test_fewer_than_five_whole_images_are_void():
    for share, images in ((0.005, 100), (0.005, 400), (0.0125, 399)):
        assert f"of the positions of {images} images" in str(why_void(share, images))
    for share, images in ((0.0125, 400), (0.1, 50), (0.005, 1000), (0.005, 63_305)):
        assert why_void(share, images) is None


def test_what_is_found_with_other_labels_is_found_by_chance(tmp_path):
    """Red is on at every object, green on balls alone. With balls red has an IoU of 1/2, whatever the labels. Green has
    one of 1, and by chance meets 100 of 200 balls: 100 / (200 + 200 - 100)."""
    pixels, masks = torch.zeros(400, 3, 8, 8, dtype=torch.uint8), np.zeros((400, 8, 8), bool)
    masks[:, 2:5, 2:5] = True
    pixels[:, 0, 2:5, 2:5] = pixels[::2, 1, 2:5, 2:5] = 200
    concepts = Concepts(("ball", "cube"), ("object",) * 2,
                        lambda at: [Labelled(8, 8, {"object": [(i % 2, masks[i])]}) for i in at])  # fmt: skip
    subject, data = planted(pixels, tmp_path, concepts)
    found = dissection.probe(dissection.Params(share=0.05, batch_size=90), subject).metrics
    ours = found["layers"]["first"]
    assert ours["score"][:2] == [0.5, 1] and ours["label"][1] == "ball" and len(found["by_chance"]) == 19
    assert all(chance["detectors"]["units"] == found["detectors"]["units"] == 2 for chance in found["by_chance"])
    with torch.inference_mode():
        layers, thresholds = {"first": 3}, {"first": torch.zeros(3)}
        counts = dissection._overlaps(dissection.Params(batch_size=70), subject, data, layers, concepts, thresholds)
    iou = counts["first"].iou()[1:, :2, 0]
    assert (iou[:, 0] == 0.5).all() and float(iou[:, 1].mean()) == pytest.approx(1 / 3, abs=0.02)
    assert len(iou[:, 1].unique()) > 5  # relabellings of their own
    assert (counts["first"].concept == 200 * 9).all()  # each label once


def test_units_are_compared_with_chance_on_sets_smaller_than_that(tmp_path):
    pixels = torch.full((4, 3, 8, 8), 7, dtype=torch.uint8)
    subject, _ = planted(pixels, tmp_path, read_masks=lambda places: torch.ones(len(places), 8, 8).bool())
    assert len(dissection.probe(dissection.Params(share=0.9), subject).metrics["by_chance"]) == 3


def test_renders_give_classes_and_colours_and_say_what_they_lack(tmp_path):
    pixels = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    pixels[:, 0, 2:6, 2:6] = 220  # a red object on black
    masks = pixels[:, 0].numpy() > 0
    subject, data = planted(pixels, tmp_path, read_masks=lambda places: torch.from_numpy(masks[places]))
    found = dissection.probe(dissection.Params(share=0.2, top=2), subject)
    layer = found.metrics["layers"]["first"]
    assert (layer["category"][0], layer["label"][0], layer["score"][0]) == ("color", "red", 1)
    assert found.metrics["concepts"] == 2 + len(COLOURS)
    assert set(found.metrics["absent"]) == {"part", "scene", "material", "texture"}
    assert found.outcomes[["unit", "rank", "image"]].values.tolist()[:2] == [[0, 0, 0], [0, 1, 1]]
    assert len(found.outcomes) == 3 * 2
    picture = draw_top_images(data, found.outcomes, layer, "first", [0, 2])
    assert (np.array(picture) == [220, 0, 0]).all(2).any()
    with pytest.raises(UserError, match="first: no unit 7; there are 0 to 2"):
        draw_top_images(data, found.outcomes, layer, "first", [7])


def test_a_texture_lies_behind_the_object(tmp_path):
    from robust3d.data.concepts import concepts_of

    masks = np.zeros((2, 8, 8), bool)
    masks[:, :3] = True
    _, data = planted(
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8), tmp_path, read_masks=lambda places: torch.from_numpy(masks[places])
    )
    data = replace(data, rows=data.rows.assign(texture=["grid", ""]))
    concepts = concepts_of(data)
    first, second = concepts.read([0, 1])
    ((number, mask),) = first.labels["texture"]
    assert concepts.names[number] == "grid" and concepts.categories[number] == "texture"
    assert (mask == ~masks[0]).all() and "texture" not in second.labels and "texture" not in concepts.absent


def test_a_texture_that_an_object_is_painted_with_is_on_the_object(tmp_path):
    from robust3d.data.concepts import concepts_of

    masks = np.zeros((2, 8, 8), bool)
    masks[:, :3] = True
    _, data = planted(
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8), tmp_path, read_masks=lambda places: torch.from_numpy(masks[places])
    )
    data = replace(data, rows=data.rows.assign(texture=["cone", "arch"], painted=["grid", ""]))  # a class, a texture
    concepts = concepts_of(data)
    first, second = concepts.read([0, 1])
    ((number, mask),) = first.labels["texture"]
    assert concepts.names[number] == "grid" and (mask == masks[0]).all() and "texture" not in second.labels
    assert "cone" not in [name for name, kind in zip(concepts.names, concepts.categories) if kind == "texture"]


def test_the_top_images_are_the_largest_in_order_and_equal_ones_by_number(tmp_path):
    pixels = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.tensor([10, 90, 20, 90, 50, 0], dtype=torch.uint8)
    subject, _ = planted(pixels, tmp_path, read_masks=lambda places: torch.ones(len(places), 8, 8).bool())
    for size in (1, 4, 6):
        found = dissection.probe(dissection.Params(top=4, batch_size=size), subject).outcomes
        assert found[found["unit"] == 0]["image"].tolist() == [1, 3, 4, 2]


@pytest.mark.parametrize(
    ("masks", "layers", "says"),
    [
        (None, (), "without masks"),
        (
            lambda places: torch.zeros(len(places), 4, 4).bool(),
            (),
            r"masks of \(4, 4\) px do not match images of \(8, 8\) px",
        ),
        (
            lambda places: torch.zeros(len(places), 8, 8).bool(),
            ("conv5",),
            "planted has no layer 'conv5'; it has first",
        ),
    ],
)
def test_bad_input_is_named(masks, layers, says, tmp_path):
    subject, _ = planted(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), tmp_path, read_masks=masks)
    with pytest.raises(UserError, match=says):
        dissection.probe(dissection.Params(layers=layers), subject)


def test_colours_have_their_names():
    examples = {
        "black": (5, 5, 5), "blue": (20, 40, 220), "brown": (110, 60, 20), "grey": (128, 128, 128),
        "green": (20, 160, 40), "orange": (250, 140, 20), "pink": (255, 160, 200), "purple": (130, 30, 160),
        "red": (210, 20, 20), "white": (250, 250, 250), "yellow": (250, 240, 30),
    }  # fmt: skip
    pixels = np.array(list(examples.values()), np.uint8)
    assert [COLOURS[n] for n in colour_names(pixels)] == list(examples)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published table of colours is not beside the project")
def test_most_colours_have_the_names_of_the_table_behind_brodens():
    """It has boxes of 8 values a channel and eleven names in the order of ours."""
    cube = np.stack(np.meshgrid(*[np.arange(4, 256, 8)] * 3, indexing="ij"), -1).astype(np.uint8)
    assert (colour_names(cube) == np.load(PUBLISHED / "w2color.npy")).mean() > 0.75


def test_best_concepts_and_diversity_of_a_table():
    iou = np.array([[0.05, 0.2, 0.01], [0.03, 0.009, 0.03], [0.0, 0.0, 0.0]])
    units = best_concepts(iou, ["cat", "dog", "red"], ["object", "object", "color"])
    assert units["label"].tolist() == ["dog", "cat", None] and diversity(iou).tolist() == [3, 2, 0]
    assert detectors(units) == (1, 1, {"object": 1}) and detectors(units, 0.01).units == 2


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published units are not beside the project")
@pytest.mark.parametrize(
    ("file", "units", "concepts"),
    [
        ("caffe_reference_imagenet.csv", 97, 50),
        ("caffe_reference_places205.csv", 107, 60),
        ("caffe_reference_places365.csv", 118, 72),
        ("ResNet-152-model_imagenet.csv", 1325, 197),
    ],
)
def test_published_units_give_their_published_counts(file, units, concepts):
    table = read_units(PUBLISHED / file)
    found = detectors(table)
    assert (found.units, found.concepts) == (units, concepts)
    if file == "caffe_reference_imagenet.csv":
        told = {"object": 32, "part": 16, "scene": 2, "material": 3, "texture": 40, "color": 4}
        assert found.by_category == told and len(table) == 256
    kinds = ("object", "part", "scene", "material", "texture", "color")
    best = np.stack([pd.to_numeric(table[f"{kind}-iou"]).to_numpy() for kind in kinds], 1)
    np.testing.assert_allclose(best.max(1), table["score"])  # a unit's label is its largest IoU
    for kind in kinds:  # and that is what `Overlaps` makes of the counts
        both, truth, mine = (pd.to_numeric(table[f"{kind}-{n}"]) for n in ("intersect", "truth", "activation"))
        counts = Overlaps(len(table), Concepts(("c",), (kind,), lambda places: []))
        for i in range(0, len(table), 40):
            counts.both[0, 0], counts.unit[0, 0] = (torch.tensor(column.to_numpy("int64")) for column in (both, mine))
            counts.concept[0, 0] = int(truth[i])
            assert float(counts.iou()[0, i, 0]) == pytest.approx(float(table[f"{kind}-iou"][i]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("unit,label,score\n1,cat,0.1\n", "no column 'category'"),
        ("unit,category,label,score\n", "no column 'unit'"),
        ("unit,category,label,score\n1,object,cat,high\n", "line 2: score is 'high', not a number"),
        ("unit,category,label,score\n1,object,cat,0.1\n2,object,dog,7\n", "line 3: score is 7.0"),
        ("unit,category,label,score\n1,object,cat,0.1\n1,object,dog,0.1\n", "unit 1 has two rows"),
    ],
)
def test_a_table_of_units_that_is_none_is_named(text, says, tmp_path):
    (tmp_path / "units.csv").write_text(text)
    with pytest.raises(UserError, match=rf"units\.csv.*{says}"):
        read_units(tmp_path / "units.csv")
