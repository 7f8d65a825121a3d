"""The corruptions against a reference written an image at a time, closed forms and properties."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from robust3d.distortions.blur import copied_from
from robust3d.distortions.corruptions import FUNCTIONS, corrupt
from robust3d.distortions.draws import Draws
from robust3d.distortions.fields import gaussian, motion, plasma, zoomed
from robust3d.distortions.parameters import COMMON, EXTRA, PARAMETERS, PUBLISHED_ERRORS, SEVERITIES, set_for

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from reference import corruptions as reference

CASES = [(name, side) for name in FUNCTIONS for side in (32, 64)]
WITHOUT_DRAWS = (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate",
)  # fmt: skip


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    """Smooth colours with edges and a little texture, uint8."""
    rng = np.random.default_rng(height * 1000 + width)
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    images = []
    for _ in range(count):
        freq, phase = rng.uniform(3, 25, (3, 2)), rng.uniform(0, 6, 3)
        waves = [0.5 + 0.3 * np.sin(a * rows + b * columns + c) for (a, b), c in zip(freq, phase)]
        image = np.stack(waves) + 0.03 * rng.normal(size=(3, height, width))
        centre, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.3)
        disk = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        image[:, disk] = rng.uniform(0, 1, (3, 1))
        images.append(image)
    return torch.from_numpy((np.clip(images, 0, 1) * 255).round().astype(np.uint8))


def test_every_set_of_parameters_has_nineteen_corruptions_at_five_severities():
    assert len(COMMON) == 15 and len(EXTRA) == 4 and set(FUNCTIONS) == {*COMMON, *EXTRA}
    for told in PARAMETERS.values():
        assert set(told) == set(FUNCTIONS) and all(len(values) == 5 for values in told.values())
    assert set(PUBLISHED_ERRORS) == set(COMMON)
    assert [set_for(side) for side in (32, 47, 48, 64, 99, 100, 224)] == ["cifar"] * 2 + ["tiny"] * 3 + ["imagenet"] * 2


@pytest.mark.parametrize(("name", "side"), CASES)
def test_an_image_comes_out_the_same_alone_in_any_batch_and_again(name, side):
    images, seeds = pictures(5, side, side), [11, 12, 13, 14, 15]
    before = images.clone()
    for severity in (1, 5):
        whole = corrupt(images, name, severity, seeds)
        assert whole.shape == images.shape and whole.dtype == torch.uint8 and torch.equal(images, before)
        turned = corrupt(images.flip(0), name, severity, seeds[::-1]).flip(0)
        alone = torch.cat([corrupt(images[i : i + 1], name, severity, seeds[i : i + 1]) for i in range(5)])
        assert torch.equal(whole, turned) and torch.equal(whole, alone)
        assert not torch.equal(whole, images)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in WITHOUT_DRAWS])
def test_other_seeds_give_other_images(name):
    images = pictures(1, 64, 64).expand(2, -1, -1, -1)
    first, second = corrupt(images, name, 3, [1, 2])
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_severity_moves_images_further_away(name):
    """Mean square distances; the published parameters of some corruptions do not rise in each step."""
    images = pictures(12, 224, 224)[:, :, :112, :112] if name == "elastic_transform" else pictures(12, 112, 112)
    distances = [
        float((corrupt(images, name, severity, range(12), "imagenet").float() - images.float()).square().mean())
        for severity in SEVERITIES
    ]
    rising = {  # which step to the next severity goes up
        "saturate": (True, None, True, True),  # 1 and 2 take colour away, 3 to 5 add it
        "elastic_transform": (True, None, True, True),  # 1 and 2 move far and smoothly, 3 to 5 near and finely
        "frost": (True, True, None, True),  # the image darkens as the ice grows, see below
        "glass_blur": (None, True, None, True),  # fewer rounds, each of a longer reach
        "snow": (True, None, None, None),  # parameters of flakes, motion and paleness go up and down
        "spatter": (True, True, None, True),  # water, then mud
    }.get(name, (True,) * 4)
    assert min(distances) > 0
    for step, expected in enumerate(rising):
        assert expected is None or (distances[step + 1] > distances[step]) == expected, (name, distances)


def test_less_of_an_image_is_seen_through_more_frost():
    images = pictures(12, 112, 112) // 4  # so dark that nothing is cut off at white
    seen = [
        np.corrcoef(corrupt(images, "frost", severity, range(12)).flatten(), images.flatten())[0, 1]
        for severity in SEVERITIES
    ]
    assert all(later < earlier for earlier, later in pairwise(seen)) and seen[4] < 0.75 * seen[0]


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (112, 112)])
@pytest.mark.parametrize("name", WITHOUT_DRAWS)
def test_what_draws_nothing_equals_the_reference(name, size):
    images = pictures(3, *size)
    for severity in SEVERITIES:
        ours = corrupt(images.double() / 255, name, severity, range(3)).permute(0, 2, 3, 1).numpy()
        told = PARAMETERS[set_for(size[0])][name][severity - 1]
        alone = [image.permute(1, 2, 0).contiguous().numpy() for image in images]
        theirs = np.stack([getattr(reference, name)(image, told) for image in alone]).clip(0, 1)
        np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=f"severity {severity}")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in WITHOUT_DRAWS])
def test_what_draws_at_random_equals_the_reference_on_average(name):
    """Mean, and mean square change, over images that are all alike."""
    images = pictures(1, 64, 64).expand(60, -1, -1, -1).contiguous()
    rng = np.random.default_rng(1)
    alone = images[0].permute(1, 2, 0).contiguous().numpy()
    for severity in (1, 4):
        told = PARAMETERS["tiny"][name][severity - 1]
        ours = corrupt(images, name, severity, range(60)).float().numpy().transpose(0, 2, 3, 1)
        theirs = np.stack([reference.corrupt(alone, name, told, rng) for _ in range(60)]).astype(np.float32)
        for statistic in (lambda x: x.mean((1, 2, 3)), lambda x: ((x - alone) ** 2).mean((1, 2, 3))):
            a, b = statistic(ours), statistic(theirs)
            error = np.sqrt(a.var(ddof=1) / 60 + b.var(ddof=1) / 60)
            assert abs(a.mean() - b.mean()) < 4 * error + 0.02 * abs(b.mean()), (severity, a.mean(), b.mean(), error)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_standard_deviation_of_gaussian_noise_is_the_published_one(severity):
    sigma = PARAMETERS["imagenet"]["gaussian_noise"][severity - 1]
    grey = torch.full((8, 3, 64, 64), 0.5)
    found = corrupt(grey, "gaussian_noise", severity, range(8), "imagenet") - 0.5
    inside = found[found.abs() < 0.5]  # the rest is clipped
    assert abs(float((found.abs() < sigma).double().mean()) - 0.6827) < 0.01
    if severity <= 2:
        assert abs(float(inside.std()) / sigma - 1) < 0.03


def test_shot_noise_counts_photons():
    grey = torch.full((4, 3, 64, 64), 0.25)
    found = corrupt(grey, "shot_noise", 2, range(4), "imagenet")  # 25 photons of white
    assert abs(float(found.mean()) - 0.25) < 0.002 and abs(float(found.var()) / (0.25 / 25) - 1) < 0.03


def test_impulse_noise_spoils_its_share():
    grey = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    found = corrupt(grey, "impulse_noise", 5, range(4), "imagenet")
    assert abs(float((found == 0).double().mean()) - 0.135) < 0.006
    assert abs(float((found == 255).double().mean()) - 0.135) < 0.006
    assert set(found.unique().tolist()) == {0, 128, 255}


def test_glass_copies_pixels_as_the_double_loop_does():
    rng = np.random.default_rng(5)
    for reach, height, width in ((1, 12, 17), (2, 17, 12), (4, 20, 20), (3, 9, 9)):
        moves = rng.integers(-reach, reach, (3, 2, height, width))
        sources = copied_from(torch.from_numpy(moves), reach).numpy()
        for move, source in zip(moves, sources):
            pixels = np.arange(height * width).reshape(height, width, 1)
            reference.copy_in_turn(pixels, move, reach)
            assert (pixels[..., 0] == source).all()


def test_motion_and_plasma_equal_the_reference():
    images = pictures(2, 20, 31).float()
    angles = torch.tensor([-37.0, 120.0])
    ours = motion(images, 6, 2.5, angles)
    for image, found, angle in zip(images, ours, angles):
        theirs = reference.line_blur(image.permute(1, 2, 0).double().numpy(), 6, 2.5, float(angle))
        np.testing.assert_allclose(found.permute(1, 2, 0), theirs, atol=1e-3)

    class Told:
        """Hands out the numbers of one field by where they belong."""

        def __init__(self, field):
            self.field, self.places = field, self._order(len(field))

        @staticmethod
        def _order(side):
            step = side
            while step >= 2:
                half = step // 2
                yield from (np.s_[half::step, half::step], np.s_[::step, half::step], np.s_[half::step, ::step])
                step = half

        def uniform(self, low, high, shape):
            return high * self.field[next(self.places)].reshape(shape)

    field = np.random.default_rng(2).uniform(-1, 1, (32, 32))
    theirs = reference.clouds(32, 1.7, Told(field))
    np.testing.assert_allclose(plasma(torch.from_numpy(field)[None], 1.7)[0], theirs, atol=1e-9)


def test_blur_keeps_a_constant_and_zoom_keeps_the_corners():
    constant = torch.full((1, 3, 9, 14), 0.3)
    for sigma in (0.3, 2.0, 30.0):
        torch.testing.assert_close(gaussian(constant, sigma), constant)
    ramp = torch.linspace(0, 1, 41).expand(1, 1, 41, 41).contiguous()
    torch.testing.assert_close(zoomed(ramp, 1.0), ramp)
    assert float(zoomed(ramp, 2.0)[0, 0, 0, 20]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("size", [(8, 8), (8, 13), (33, 20), (100, 37), (120, 101)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_size_and_shape_is_taken(name, size):
    images = pictures(2, *size)
    for severity in (1, 5):
        found = corrupt(images, name, severity, [1, 2], "imagenet" if min(size) < 30 else None)
        assert found.shape == images.shape and found.dtype == torch.uint8
    plain = torch.zeros_like(images)
    for value in (0, 255):
        assert corrupt(plain + value, name, 5, [1, 2]).shape == images.shape


@pytest.mark.parametrize("name", FUNCTIONS)
def test_floating_point_is_taken_and_given(name):
    images = pictures(2, 32, 32)
    values = images.float() / 255
    kept = values.clone()
    found = corrupt(values, name, 3, [1, 2])
    assert found.dtype == torch.float32 and found.min() >= 0 and found.max() <= 1 and torch.equal(values, kept)
    assert torch.equal((found * 255).round().to(torch.uint8), corrupt(images, name, 3, [1, 2]))


def test_wrong_calls_are_refused():
    images = pictures(2, 16, 16)
    wrong = [(images[0], 1, [1]), (images[:, :1], 1, [1, 2]), (images, 0, [1, 2]), (images, 6, [1, 2])]
    for bad, severity, seeds in (*wrong, (images, 1, [1])):
        with pytest.raises(ValueError):
            corrupt(bad, "fog", severity, seeds)
    assert corrupt(images[:0], "fog", 1, []).shape == (0, 3, 16, 16)


def test_a_stream_is_of_its_seed():
    both, alone = Draws([3, 4], torch.device("cpu")), Draws([4], torch.device("cpu"))
    assert torch.equal(both.normal(5, 7)[1:], alone.normal(5, 7))
    assert torch.equal(both.integers(-2, 2, 4)[1:], alone.integers(-2, 2, 4))
    assert set(Draws([1], torch.device("cpu")).integers(-2, 2, 500)[0].tolist()) == {-2, -1, 0, 1}
