"""Compositing arithmetic, the paper's two maps from class to texture, and which texture an image gets."""

from collections import Counter

import numpy as np
import pytest

from robust3d.data.backgrounds import Backgrounds, crop, image_seed
from robust3d.data.compositing import compose
from robust3d.data.params import PAPER_TEXTURES, BackgroundParams, SetParams, TextureParams
from robust3d.data.procedural_textures import make_textures
from robust3d.data.textures import Textures
from robust3d.errors import UserError

SHIFTED = (  # printed in the paper's appendix D as the second map
    "crystalline",
    "zigzagged",
    "banded",
    "wrinkled",
    "striped",
    "grid",
    "polka-dotted",
    "chequered",
    "blotchy",
    "lacelike",
)


@pytest.fixture(scope="module")
def textures() -> Textures:
    return make_textures(TextureParams(images_per_class=6, resolution_px=24, test_fraction=1 / 3), 0)


def test_compose_is_the_exactly_rounded_straight_alpha_over_for_every_alpha_and_colour():
    values = np.arange(256, dtype=np.uint8)
    for back in (0, 1, 77, 128, 254, 255):
        colour, alpha = np.meshgrid(values, values)
        got = compose(np.stack([colour, colour, colour, alpha], -1), np.full((256, 256, 3), back, np.uint8))
        c, a = colour.astype(np.int64), alpha.astype(np.int64)
        twice = 2 * (c * a + back * (255 - a))  # nearest integer q of n/255: |2n - 510 q| < 255, no ties
        assert (np.abs(twice - 510 * got[..., 0].astype(np.int64)) < 255).all()
        assert np.array_equal(got[..., 1], got[..., 0]) and np.array_equal(got[..., 2], got[..., 0])
        assert np.array_equal(got[255, :, 0], values)
        assert (got[0] == back).all()


def test_compose_takes_channels_apart_and_a_grey():
    rgba = np.array([[10, 20, 30, 255], [200, 100, 0, 0], [255, 0, 255, 51]], np.uint8)
    assert compose(rgba, 255).tolist() == [[10, 20, 30], [255, 255, 255], [255, 204, 255]]
    back = np.array([[1, 2, 3]] * 3, np.uint8)
    assert compose(rgba, back)[1].tolist() == [1, 2, 3]


def test_the_papers_maps():
    assert BackgroundParams(kind="correlated").texture_of_class(10) == PAPER_TEXTURES
    assert BackgroundParams(kind="shifted").texture_of_class(10) == SHIFTED
    assert BackgroundParams(kind="shifted", mapping=("grid", "banded", "striped")).texture_of_class(3) == (
        "striped",
        "grid",
        "banded",
    )


@pytest.mark.parametrize("kind", ["correlated", "shifted"])
def test_a_map_that_does_not_cover_the_classes_is_refused(kind, textures):
    with pytest.raises(UserError, match=r"background\.mapping.*10 textures for 13 classes"):
        BackgroundParams(kind=kind).texture_of_class(13)
    with pytest.raises(UserError, match=r"background\.mapping.*2 textures for 3"):
        BackgroundParams(kind=kind, mapping=("grid", "banded")).texture_of_class(3)
    with pytest.raises(UserError, match=r"background\.mapping.*'bubbly'"):
        Backgrounds(BackgroundParams(kind=kind, mapping=("grid", "bubbly")), textures, 2)


def test_thirteen_classes_may_share_ten_textures_unless_the_shift_would_keep_one():
    cyclic = tuple(PAPER_TEXTURES[i % 10] for i in range(13))
    correlated = BackgroundParams(kind="correlated", mapping=cyclic).texture_of_class(13)
    shifted = BackgroundParams(kind="shifted", mapping=cyclic).texture_of_class(13)
    assert all(a != b for a, b in zip(correlated, shifted, strict=True))
    with pytest.raises(UserError, match="class 1 keeps its texture 'grid'"):
        BackgroundParams(kind="shifted", mapping=("grid", "grid", "banded")).texture_of_class(3)


def test_correlated_is_always_the_class_texture_shifted_never_and_test_textures_are_apart(textures):
    correlated = Backgrounds(BackgroundParams(kind="correlated"), textures, 10)
    shifted = Backgrounds(BackgroundParams(kind="shifted"), textures, 10)
    seen: dict[str, set[int]] = {}
    for label in range(10):
        for split in ("train", "val", "test"):
            for view in range(30):
                key = image_seed(0, "c", "i", view)
                a, b = correlated.texture(label, split, key), shifted.texture(label, split, key)
                assert textures.names[textures.class_index[a]] == PAPER_TEXTURES[label]
                assert textures.names[textures.class_index[b]] == SHIFTED[label]
                seen.setdefault(split, set()).update((a, b))
    assert not seen["test"] & (seen["train"] | seen["val"])
    assert len(seen["train"]) == 40 and len(seen["test"]) == 20  # all are used


def test_random_textures_are_spread_over_the_classes_whatever_the_label(textures):
    random = Backgrounds(BackgroundParams(kind="textured"), textures, 10)
    names = [textures.class_index[random.texture(v % 10, "train", image_seed(0, "c", "i", v))] for v in range(3000)]
    counts = Counter(zip(np.arange(3000) % 10, names, strict=True))
    assert len(counts) == 100
    expected = 30.0
    chi_square = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi_square < 150  # 99 degrees of freedom: p < 1e-3 above 148


def test_crops_are_windows_spread_over_the_texture_and_too_small_a_texture_is_refused(textures):
    place = np.stack(np.meshgrid(np.arange(24), np.arange(24), [0], indexing="ij"), -1)[:, :, 0].astype(np.uint8)
    corners = set()
    for seed in range(400):
        window = crop(place, 20, 16, seed)
        assert window.shape == (20, 16, 3)
        assert np.array_equal(window[-1, -1] - window[0, 0], [19, 15, 0])
        corners.add((int(window[0, 0, 0]), int(window[0, 0, 1])))
    assert corners == {(r, c) for r in range(5) for c in range(9)}
    with pytest.raises(UserError, match=r"textures\.resolution_px.*at least 32"):
        crop(textures.images[0], 32, 24, 0)


def test_plain_backgrounds_need_no_textures_and_textured_ones_do():
    clear = np.zeros((4, 4, 4), np.uint8)
    assert (Backgrounds(BackgroundParams(kind="white"), None, 3).behind(clear, 0, "train", 1) == 255).all()
    assert (Backgrounds(BackgroundParams(), None, 3).behind(clear, 0, "train", 1) == 0).all()
    with pytest.raises(ValueError, match="needs textures"):
        Backgrounds(BackgroundParams(kind="textured"), None, 3)


def test_label_order_is_explicit_and_checked():
    family = ("arch", "barrel", "cone")
    assert SetParams().labels(family) == family
    assert SetParams(label_order=("cone", "arch")).labels(family) == ("cone", "arch")
    with pytest.raises(UserError, match=r"set\.label_order.*'horn'"):
        SetParams(label_order=("horn",)).labels(family)
