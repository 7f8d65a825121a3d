"""Scrambled, black-and-white, silhouetted and retextured images, against their definitions and hand-made cases."""

import os
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import ndimage

from robust3d.distortions.binary import thresholded, traced, tracer_version, without_specks
from robust3d.distortions.masks import retextured, silhouettes
from robust3d.distortions.scramble import scramble
from robust3d.errors import UserError


def noise(count: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(3)).byte()


def tiles(image: torch.Tensor, parts: int) -> list[bytes]:
    high, wide = image.shape[1] // parts, image.shape[2] // parts
    return [
        image[:, row * high : (row + 1) * high, column * wide : (column + 1) * wide].contiguous().numpy().tobytes()
        for row in range(parts)
        for column in range(parts)
    ]


@pytest.mark.parametrize("parts", [1, 2, 4, 8])
def test_a_scrambled_image_has_the_same_tiles(parts):
    images = noise(6, 32, 48)
    found = scramble(images, parts, range(6))
    for image, scrambled in zip(images, found):
        assert sorted(tiles(image, parts)) == sorted(tiles(scrambled, parts))
    assert torch.equal(found, images) == (parts == 1)
    orders = [[tiles(image, parts).index(tile) for tile in tiles(s, parts)] for image, s in zip(images, found)]
    assert parts == 1 or len({tuple(order) for order in orders}) > 1  # each image has its own
    assert torch.equal(found[3:4], scramble(images[3:4], parts, [3]))


def test_the_fixed_order_is_the_same_for_all_images_and_every_order_is_as_likely():
    images = noise(5, 16, 16)
    found = scramble(images, 2, None)
    orders = {tuple(tiles(i, 2).index(tile) for tile in tiles(s, 2)) for i, s in zip(images, found)}
    assert len(orders) == 1 and orders != {(0, 1, 2, 3)}
    many = scramble(images[:1].expand(2400, -1, -1, -1), 2, range(2400))
    first = tiles(images[0], 2)
    seen = [tuple(first.index(tile) for tile in tiles(image, 2)) for image in many]
    counts = [seen.count(order) for order in permutations(range(4))]
    assert sum(counts) == 2400 and min(counts) > 60 and max(counts) < 145


def test_an_image_that_cannot_be_cut_is_refused():
    with pytest.raises(UserError, match="30x32 px cannot be cut into 4x4"):
        scramble(noise(1, 30, 32), 4, [1])


def test_specks_up_to_two_pixels_go_and_larger_ones_stay():
    white = np.ones((9, 9), bool)
    white[1, 1] = white[4, 4] = white[4, 5] = False  # one and two pixels
    white[7, 2:5] = False  # three
    cleaned = without_specks(white, 2)
    assert cleaned[1, 1] and cleaned[4, 4] and cleaned[4, 5] and not cleaned[7, 2:5].any()
    assert (without_specks(~white, 2) == ~cleaned).all() and (without_specks(white, 0) == white).all()
    rng = np.random.default_rng(0)
    random = rng.random((40, 40)) < 0.5
    cleaned = without_specks(random, 2)
    spots, _ = ndimage.label(cleaned)
    assert np.bincount(spots.ravel())[1:].min() > 2


def test_half_is_the_mean_of_the_channels_and_otsu_parts_two_heaps():
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    images[:, :, :, 4:] = torch.tensor([255, 127, 1], dtype=torch.uint8)[:, None, None]  # mean 127.67
    assert thresholded(images)[0, 0, 0].tolist() == [0] * 4 + [255] * 4
    images[:, 1, :, 4:] = 126  # mean 127.33
    assert not thresholded(images).any()
    rng = np.random.default_rng(1)
    values = np.clip(np.r_[rng.normal(40, 5, 300), rng.normal(90, 5, 100)], 0, 255).astype(np.uint8)
    picture = torch.from_numpy(np.sort(values).reshape(1, 1, 20, 20)).expand(-1, 3, -1, -1)
    found = thresholded(picture, "otsu")
    assert (found[0, 0].flatten() == 0).sum() == 300 and found.shape == picture.shape
    assert not thresholded(picture).any() and set(found.unique().tolist()) == {0, 255}
    plain = torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)
    assert len(thresholded(plain, "otsu").unique()) == 1


def program(folder, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_external_programs_are_used_and_named(tmp_path, monkeypatch):
    """Stand-ins that know the options: the first copies its input, the second draws it as a PNG by Pillow."""
    version = 'if [ "$1" = --version ]; then echo "$0 7.1." | sed "s|.*/||"; exit; fi\n'
    program(tmp_path, "potrace", version + 'test "$1" = --svg && cp "$2" "$4"')
    python = "import sys; from PIL import Image; Image.open(sys.argv[1]).convert('1').save(sys.argv[2])"
    program(tmp_path, "rsvg-convert", version + f'test "$1 $2 $3 $4" = "-w 12 -h 8" && python3 -c "{python}" "$7" "$9"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert tracer_version() == "potrace 7.1; rsvg-convert 7.1"
    images = torch.zeros(2, 3, 8, 12, dtype=torch.uint8)
    images[1, :, 2:5] = 255
    assert torch.equal(traced(images), images)
    program(tmp_path, "rsvg-convert", "echo no such font >&2; exit 3")
    with pytest.raises(UserError, match="rsvg-convert failed: no such font"):
        traced(images)


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no program 'potrace' here; install it .* or choose threshold"):
        tracer_version()


def test_a_silhouette_is_black_on_white():
    masks = torch.zeros(2, 4, 5, dtype=torch.bool)
    masks[0, 1:3, 2] = True
    found = silhouettes(masks)
    assert found.shape == (2, 3, 4, 5) and found.dtype == torch.uint8
    assert (found == 0).sum() == 6 and (found[:, :, ~masks[0]][0] == 255).all() and (found[1] == 255).all()


def test_retexturing_keeps_what_lies_outside_and_the_light_inside():
    images = torch.full((1, 3, 6, 6), 200, dtype=torch.uint8)
    masks = torch.zeros(1, 6, 6, dtype=torch.bool)
    masks[:, 1:5, 1:5] = True
    images[:, :, 1:5, 1:3], images[:, :, 1:5, 3:5] = 90, 110  # light: 0.9 and 1.1 of the mean
    texture = torch.zeros(1, 3, 6, 6, dtype=torch.uint8)
    texture[:, 0], texture[:, 1] = 100, 50
    found = retextured(images, masks, texture)
    assert (found[:, :, ~masks[0]] == 200).all()
    assert found[0, :, 2, 2].tolist() == [90, 45, 0] and found[0, :, 2, 4].tolist() == [110, 55, 0]
    assert torch.equal(retextured(images, ~masks & masks, texture), images)
