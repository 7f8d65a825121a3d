"""The probes of corrupted and distorted images, of classifiers whose answers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pydantic
import pytest
import torch

from robust3d.data.images import ImageData
from robust3d.distortions.corruptions import corrupt
from robust3d.distortions.parameters import COMMON, EXTRA, PUBLISHED_ERRORS
from robust3d.errors import UserError
from robust3d.parsing import parse
from robust3d.probes import Subject, corruptions, distortions
from robust3d.seeds import seed_of

SIDE = 16


def images(count=6, side=SIDE, masks=True, named="view"):
    """Bright squares on dark noise, label 1 where the square is bright enough; each with a mask."""
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 60, (count, 3, side, side)).astype(np.uint8)
    mask = np.zeros((count, side, side), bool)
    mask[:, 4:12, 3:10] = True
    for number in range(count):
        pixels[number][:, mask[number]] = 120 + 20 * number
    labels = torch.tensor([number % 2 for number in range(count)])
    given = ImageData.of(torch.from_numpy(pixels), labels)
    rows = {"class_name": [f"c{label}" for label in labels.tolist()]}
    if named == "view":
        rows |= {"instance": ["1.0_1.5"] * count, "view": list(range(count))}
    else:
        rows |= {"instance": [f"test/c{number % 2}/p{number}.{named}" for number in range(count)], "view": [0] * count}
    background = "black" if named == "view" else None
    read = (lambda places: torch.from_numpy(mask[places])) if masks else None
    return replace(given, rows=pd.DataFrame(rows), background=background, read_masks=read)


class Mean(torch.nn.Module):
    """Says 1 where the mean of an image is above a limit."""

    def __init__(self, limit=0.25):
        super().__init__()
        self.limit = limit

    def forward(self, pixels):
        mean = pixels.mean((1, 2, 3)) - self.limit
        return torch.stack([-mean, mean], 1)


def subject(model, tmp_path, **sets):
    return Subject(model, ("c0", "c1"), "cpu", sets.__getitem__, tmp_path, tuple(sets))


@pytest.mark.parametrize("batch_size", [1, 4, 250])
def test_every_corruption_is_asked_of_every_image_whatever_the_batches(tmp_path, batch_size):
    given, model = images(), Mean()
    params = corruptions.Params(corruptions=("gaussian_noise", "fog"), severities=(2, 5), batch_size=batch_size)
    found = corruptions.probe(params, subject(model, tmp_path, set=given))
    assert found.outcomes.groupby(["corruption", "severity"]).size().to_dict() == {
        ("none", 0): 6, ("gaussian_noise", 2): 6, ("gaussian_noise", 5): 6, ("fog", 2): 6, ("fog", 5): 6,
    }  # fmt: skip
    for (name, severity), rows in found.outcomes.groupby(["corruption", "severity"]):
        pixels = given.all()
        if severity:
            pixels = corrupt(pixels, name, severity, [seed_of(0, "corruptions", told) for told in given.ids])
        expected = model(pixels.float() / 255).argmax(1).tolist()
        assert rows.sort_values("image")["prediction"].tolist() == expected
    assert found.metrics["parameters"] == "cifar" and found.metrics["images"] == 6
    errors = 1 - found.outcomes.groupby("corruption")["correct"].mean()
    assert found.metrics["errors"]["fog"] == pytest.approx(errors["fog"])
    assert found.metrics["clean_error"] == pytest.approx(errors["none"])
    assert found.metrics["mean_corruption_error"] == pytest.approx((errors["fog"] + errors["gaussian_noise"]) / 2)


def test_the_mean_corruption_error_is_over_the_common_ones_and_relative_to_a_reference(tmp_path):
    always_wrong = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIDE**2, 2)).eval()
    torch.nn.init.zeros_(always_wrong[1].weight)
    with torch.no_grad():
        always_wrong[1].bias.copy_(torch.tensor([0.0, 1.0]))  # says 1: half of the answers are wrong
    params = corruptions.Params(relative_to="published")
    found = corruptions.probe(params, subject(always_wrong, tmp_path, set=images(2))).metrics
    assert found["averaged_over"] == list(COMMON) and set(found["errors"]) == {*COMMON, *EXTRA}
    assert found["mean_corruption_error"] == 0.5
    expected = np.mean([0.5 / PUBLISHED_ERRORS[name] for name in COMMON])
    assert found["relative_mean_corruption_error"] == pytest.approx(expected)
    only = corruptions.Params(corruptions=EXTRA, severities=(1,))
    found = corruptions.probe(only, subject(always_wrong, tmp_path, set=images(2))).metrics
    assert found["mean_corruption_error"] is None and found["averaged_over"] == []


def test_images_may_pass_through_jpeg_as_the_published_ones_did(tmp_path):
    class Sees(Mean):
        def forward(self, pixels):
            self.seen = pixels
            return super().forward(pixels)

    model = Sees()
    for quality in (None, 10):
        params = corruptions.Params(corruptions=("contrast",), severities=(1,), jpeg_quality=quality)
        corruptions.probe(params, subject(model, tmp_path, set=images()))
        plain = corrupt(images().all(), "contrast", 1, range(6)).float() / 255
        assert torch.equal(model.seen, plain) == (quality is None)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"corruptions": ("fog", "fog")}, "each may stand here once"),
        ({"corruptions": ("rain",)}, "gaussian_noise"),
        ({"severities": (0,)}, "greater than or equal to 1"),
        ({"severities": (1, 3), "relative_to": "published"}, "all five severities"),
        ({"corruptions": ("fog",), "relative_to": "published"}, "of the fifteen"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(values, says):
    with pytest.raises(pydantic.ValidationError, match=says):
        corruptions.Params(**values)


class Keeps(Mean):
    """Notes all that it is shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, pixels):
        self.shown.append(pixels.detach().clone())
        return super().forward(pixels)


def asked(tmp_path, kinds, given=None, model=None, further=None, **values):
    params = distortions.Params(distortions=kinds, **values)
    return distortions.probe(params, subject(model or Mean(), tmp_path, set=given or images(), **(further or {})))


def test_every_distortion_is_asked_of_every_image(tmp_path):
    found = asked(tmp_path, distortions.Params().distortions, images(side=32))
    names = ["none", "adversarial", "scrambled_2", "scrambled_4", "scrambled_8", "stylised", "black_and_white",
             "silhouette", "noise"]  # fmt: skip
    assert found.outcomes["distortion"].drop_duplicates().tolist() == names
    assert set(found.metrics["accuracy"]) == set(names)
    for name, rows in found.outcomes.groupby("distortion"):
        assert rows["image"].tolist() == list(range(6))
        assert found.metrics["accuracy"][name] == rows["correct"].mean()
    scrambled = found.outcomes.groupby("distortion")["prediction"].apply(list)
    assert scrambled["scrambled_2"] == scrambled["none"] == scrambled["scrambled_8"]  # the mean stays
    assert found.metrics["made"] == {
        "black_and_white": "threshold: half",
        "silhouette": "exact masks of the views",
        "stylised": "objects painted with 80 procedural textures",
        "noise": "gaussian_noise 1 of cifar",
    }


def test_what_is_shown_does_not_depend_on_the_batches(tmp_path):
    kinds = ("scrambled", "stylised", "black_and_white", "silhouette", "noise")
    seen = []
    for batch_size in (6, 2):
        model = Keeps()
        asked(tmp_path, kinds, model=model, batch_size=batch_size, scrambled=(2, 4))
        per_batch = len(model.shown) // (6 // batch_size)
        seen.append([torch.cat(model.shown[number::per_batch]) for number in range(per_batch)])
    assert len(seen[0]) == 7 and all(torch.equal(a, b) for a, b in zip(*seen))
    clean, *_, silhouette, _ = seen[0]
    mask = images().masks(range(6))
    assert torch.equal(silhouette[:, 0] == 0, mask) and set(silhouette.unique().tolist()) == {0.0, 1.0}
    styled = seen[0][3]
    outside = ~mask[:, None].expand_as(styled)
    assert torch.equal(styled[outside], clean[outside]) and not torch.equal(styled, clean)


def test_the_attack_stays_in_its_ball_and_fools_a_classifier_at_its_margin(tmp_path):
    model, attack = Keeps(), {"norm": "L2", "epsilon": "0.5", "step_size": "0.2", "steps": 7}
    found = asked(tmp_path, ("adversarial",), model=model, attack=attack)
    clean, attacked = model.shown[0], model.shown[-1]
    assert float((attacked - clean).flatten(1).norm(dim=1).max()) <= 0.5 + 1e-5
    margin = (clean.mean((1, 2, 3)) - 0.25).abs() * np.sqrt(3 * SIDE**2)  # the way to the other answer, L2
    robust = found.outcomes.query("distortion == 'adversarial'")["correct"].to_numpy()
    right = found.outcomes.query("distortion == 'none'")["correct"].to_numpy()
    assert 0 < robust.sum() < right.sum() or right.sum() == robust.sum()
    assert (robust == (right & (margin.numpy() > 0.5))).all()


def test_masks_and_stylised_images_of_further_sets_are_found_by_name(tmp_path):
    given = images(masks=False, named="jpeg")
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    masks = images(named="png")
    drawn = (masks.masks(range(6)).byte() * 255)[:, None].expand(-1, 3, -1, -1)
    shuffled = replace(masks, resident=drawn[order], labels=masks.labels[order],
                       rows=masks.rows.iloc[order.tolist()].reset_index(drop=True))  # fmt: skip
    shuffled.resident[0, :, 0, 0] = 255  # of image 3
    stylised = replace(shuffled, resident=255 - given.all()[order])
    model = Keeps()
    found = asked(tmp_path, ("silhouette", "stylised"), given, model, {"masks": shuffled, "stylised": stylised})
    assert found.metrics["made"] == {"silhouette": "set of masks", "stylised": "set of stylised images"}
    _, silhouette, styled = model.shown
    assert (silhouette[:, 0, 0, 0] == 0).tolist() == [False, False, False, True, False, False]
    torch.testing.assert_close(styled, 1 - given.all().float() / 255)


def test_images_that_turn_into_one_colour_are_counted(tmp_path):
    """Of the squares 120, 140, … 220 the first alone is below half, as the background is."""
    assert asked(tmp_path, ("black_and_white",)).metrics["blank_black_and_white"] == 1
    assert asked(tmp_path, ("black_and_white",), threshold="otsu").metrics["blank_black_and_white"] == 0


def test_objects_are_painted_from_a_set_of_textures(tmp_path):
    red = torch.zeros(3, 3, SIDE, SIDE, dtype=torch.uint8)
    red[:, 0] = 100
    model = Keeps()
    bank = ImageData.of(red, torch.zeros(3, dtype=torch.int64))
    found = asked(tmp_path, ("stylised",), model=model, further={"textures": bank})
    assert found.metrics["made"]["stylised"] == "objects painted with 3 pictures of the set of textures"
    inside = model.shown[1].permute(0, 2, 3, 1)[images().masks(range(6))]
    assert (inside[:, 1:] == 0).all() and (inside[:, 0] > 0).all()


def painted_and_rendered():
    """Six objects of two classes: rendered, 80 with a band of 120; painted, stripes of 20 and 240."""
    given = images()
    mask = given.masks(range(6))[:, None]
    rendered = torch.full((6, 3, SIDE, SIDE), 120, dtype=torch.uint8)
    rendered[..., :6, :] = rendered[..., 9:, :] = 80  # of 8 rows of the object 3 are bright
    stripes = torch.full((6, 3, SIDE, SIDE), 20, dtype=torch.uint8)
    stripes[..., ::2] = 240
    outside = torch.full_like(stripes, 127)
    cues = {"shape": given.rows["class_name"], "texture": given.rows["class_name"]}
    cues["painted"] = given.rows["class_name"].map({"c0": "grid", "c1": "banded"})
    painted = replace(given, resident=stripes.where(mask, outside), rows=given.rows.assign(**cues))
    return painted, replace(given, resident=rendered.where(mask, outside))


def bank(**colours):
    """A picture of each texture in one colour."""
    pixels = torch.stack([torch.tensor(colour, dtype=torch.uint8) for colour in colours.values()])
    pixels = pixels[:, :, None, None].expand(-1, -1, SIDE, SIDE).contiguous()
    rows = pd.DataFrame({"class_name": list(colours)})
    return replace(ImageData.of(pixels, torch.zeros(len(pixels), dtype=torch.int64)), rows=rows)


def test_a_painted_object_gets_the_new_texture_under_the_light_on_its_render(tmp_path):
    """By hand: light is 80 and 120 over their mean in the object, 95, and nothing is left of the stripes."""
    painted, rendered = painted_and_rendered()
    model = Keeps()
    order = torch.tensor([2, 0, 1, 5, 4, 3])
    shuffled = replace(rendered, resident=rendered.all()[order], labels=rendered.labels[order],
                       rows=rendered.rows.iloc[order.tolist()].reset_index(drop=True))  # fmt: skip
    further = {"unpainted": shuffled, "textures": bank(lacelike=(100, 50, 0))}
    asked(tmp_path, ("stylised", "black_and_white"), painted, model, further)
    clean, styled, _ = ((255 * shown).round().byte() for shown in model.shown)
    assert torch.equal(clean, painted.all())
    expected = torch.empty_like(styled)
    for row in range(SIDE):
        light = (120 if 6 <= row < 9 else 80) / 95
        expected[:, :, row] = torch.tensor([round(100 * light), round(50 * light), 0]).byte()[:, None]
    mask = painted.masks(range(6))[:, None]
    assert torch.equal(styled, expected.where(mask, painted.all()))


def test_a_stylised_object_does_not_get_the_texture_of_its_class(tmp_path):
    painted, rendered = painted_and_rendered()
    model, colours = Keeps(), {"grid": (90, 0, 0), "banded": (0, 90, 0), "lacelike": (0, 0, 90)}
    found = asked(tmp_path, ("stylised",), painted, model, {"unpainted": rendered, "textures": bank(**colours)})
    assert found.metrics["made"]["stylised"].endswith("none of them that of the object's class")
    middle = model.shown[1][:, :, 8, 6]
    assert (middle[0::2, 0] == 0).all() and (middle[1::2, 1] == 0).all() and (middle.sum(1) > 0).all()
    assert len(middle.gt(0).unique(dim=0)) == 3  # and all others are used
    asked(tmp_path, ("stylised",), painted, further={"unpainted": rendered})  # the textures made here
    with pytest.raises(UserError, match=r"sets\.textures: it has nothing but the texture of the class 'c0'"):
        asked(tmp_path, ("stylised",), painted, None, {"unpainted": rendered, "textures": bank(grid=(9, 9, 9))})


def test_painted_objects_are_not_stylised_without_their_renders(tmp_path):
    painted, rendered = painted_and_rendered()
    with pytest.raises(UserError, match=r"the objects of these images are painted.*by `unpainted` under `sets`"):
        asked(tmp_path, ("stylised",), painted)
    with pytest.raises(UserError, match=r"sets\.unpainted: its objects are painted, too"):
        asked(tmp_path, ("stylised",), painted, None, {"unpainted": painted})
    with pytest.raises(UserError, match=r"sets\.unpainted: no test pictures are called 'c1/1\.0_1\.5-5'"):
        five = replace(rendered, resident=rendered.all()[:5], labels=rendered.labels[:5], rows=rendered.rows.iloc[:5])
        asked(tmp_path, ("stylised",), painted, None, {"unpainted": five})
    asked(tmp_path, ("silhouette",), painted)  # all else is asked as it is
    for further in ({"stylised": rendered}, {"stylised": rendered, "unpainted": painted}):
        asked(tmp_path, ("stylised",), painted, None, further)


def test_an_attack_that_a_study_gives_in_part_stays_the_papers():
    given = parse(distortions.Params, {"attack": {"steps": 3}})
    assert (given.attack.norm, given.attack.epsilon, given.attack.step_size, given.attack.steps) == ("L2", 3, 0.5, 3)


def test_what_does_not_fit_is_named(tmp_path):
    plain, named = images(masks=False, named="jpg"), images(named="png")
    drawn = (named.masks(range(6)).byte() * 255)[:, None].expand(-1, 3, -1, -1).contiguous()
    masks = replace(named, resident=drawn)

    def refused(says, masks):
        with pytest.raises(UserError, match=says):
            asked(tmp_path, ("silhouette",), plain, None, masks and {"masks": masks})

    refused("these images bring no masks .* leave both out", None)
    gone = replace(masks, rows=masks.rows.assign(instance=[f"test/q{i}.png" for i in range(6)]))
    refused(r"sets\.masks: no test pictures are called 'c0/p0'", gone)
    twice = replace(masks, rows=masks.rows.assign(instance=["test/c0/p0.png"] * 6))
    refused("sets.masks: 3 test pictures are called 'c0/p0'", twice)
    refused("sets.masks: its pictures have 32 px, the images 16 px", replace(masks, resolution_px=32))
    empty = replace(masks, resident=drawn * 0)
    refused("the mask of 'c0/p0' is black all over", empty)
    with pytest.raises(UserError, match="16x16 px cannot be cut into 3x3"):
        asked(tmp_path, ("scrambled",), scrambled=(3,))
    with pytest.raises(UserError, match="no masks of their objects"):
        plain.masks([0])
    with pytest.raises(pydantic.ValidationError, match="random_start: leave it at false"):
        distortions.Params(attack={"random_start": True})
    with pytest.raises(pydantic.ValidationError, match="once"):
        distortions.Params(scrambled=(2, 2))
