"""Pictures of very different sources have the same statistics afterwards, measured here in another way."""

import itertools

import numpy as np
import pytest
import torch

from robust3d.data.matching import matched
from robust3d.data.params import MatchParams

SIDE = 64


@pytest.fixture(scope="module")
def sources():
    """Coloured disks of several sizes, and thin grey crosses: shares of 3 to 40 %."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    disks, crosses = [], []
    for k in range(6):
        shaded = np.clip(200 - 4 * np.hypot(x - 5, y + 5), 20, 255)
        disks.append(np.where(np.hypot(x, y) < 6 + 2 * k, shaded, 0) * np.array([1, 0.3 + 0.1 * k, 0.2])[:, None, None])
        arms = (np.abs(x) < 1 + k / 3) | (np.abs(y) < 1 + k / 3)
        crosses.append(np.tile(np.where(arms & (np.hypot(x, y) < 20 + k), 127, 0), (3, 1, 1)))
    return [torch.from_numpy(np.stack(kind).astype(np.uint8)) for kind in (disks, crosses)]


def test_foregrounds_fill_the_same_share_with_the_same_brightness(sources):
    params = MatchParams(grey=True, foreground=0.2, brightness=0.5, contrast=0.1)
    for images in sources:
        before = (images.numpy().max(1) > 0).mean((1, 2))
        found = matched(images, params).numpy()
        assert (found[:, 0] == found[:, 1]).all() and (found[:, 0] == found[:, 2]).all()
        share = (found.max(1) > 0).mean((1, 2))
        assert share == pytest.approx(np.full(6, 0.2), abs=0.035) and np.ptp(before) > 0.04  # arms are whole pixels
        bright = [image[image > 0].mean() / 255 for image in found[:, 0]]
        assert bright == pytest.approx([0.5] * 6, abs=0.02)
    shading = [image[image > 0].std() / 255 for image in matched(sources[0], params).numpy()[:, 0]]
    assert shading == pytest.approx([0.1] * 6, abs=0.03)


def slope_of(image: np.ndarray) -> float:
    """Of the power of one picture over frequency, by a line through its logarithms."""
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE))) * SIDE
    edges = np.array([1.5, 3, 6, 12, 24, 31])
    rings = [(frequency > low) & (frequency <= high) for low, high in itertools.pairwise(edges)]
    means = [power[ring].mean() for ring in rings]
    return -np.polyfit(np.log([frequency[ring].mean() for ring in rings]), np.log(means), 1)[0]


def test_power_falls_as_asked_and_phases_stay(sources):
    before = [[slope_of(image[0].numpy().astype(float)) for image in images] for images in sources]
    assert abs(np.mean(before[0]) - np.mean(before[1])) > 0.3
    for wanted in (1.0, 2.0):
        for images in sources:
            found = matched(images, MatchParams(grey=True, slope=wanted, rms=0.05)).numpy()[:, 0].astype(float)
            assert np.mean([slope_of(image) for image in found]) == pytest.approx(wanted, abs=0.2)
            assert found.mean((1, 2)) == pytest.approx(np.full(6, 127.5), abs=1)
            assert found.std((1, 2)) / 255 == pytest.approx(np.full(6, 0.05), abs=0.01)
    image = sources[0][3:4]
    after = matched(image, MatchParams(slope=1.5, rms=0.05)).numpy()[0, 0].astype(float)
    ours, theirs = np.fft.fft2(after)[1:5, 1:5], np.fft.fft2(image.numpy()[0, 0].astype(float))[1:5, 1:5]
    assert np.abs(np.angle(ours / theirs)).max() < 0.2


def test_white_backgrounds_and_empty_pictures():
    white = torch.full((2, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    white[0, :, 28:36, 28:36] = 40
    found = matched(white, MatchParams(background="white", foreground=0.25)).numpy()
    assert (found[0].min(0) < 200).mean() == pytest.approx(0.25, abs=0.03) and (found[1] == 255).all()
    assert (found[0][:, 32, 32] == 40).all()
    black = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
    assert (matched(black, MatchParams(foreground=0.3, brightness=0.5)) == 0).all()
    assert (matched(black, MatchParams(slope=2.0)).float() - 127.5).abs().max() <= 0.5  # no phase, no picture


def test_keys_that_match_nothing_are_refused():
    with pytest.raises(ValueError, match="nothing is matched"):
        MatchParams()
