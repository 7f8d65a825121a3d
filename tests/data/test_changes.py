"""One factor at a time: against sizes, sums and moments that are known."""

import numpy as np
import pytest
import torch

from robust3d.data.changes import after_compositing, before_compositing, focused, panned, resized, zoomed
from robust3d.data.params import ChangeParams
from robust3d.parsing import parse

SIDE = 32


def disc(radius, colour=(200, 100, 50)):
    place = np.arange(SIDE) + 0.5 - SIDE / 2
    inside = place[:, None] ** 2 + place**2 <= radius**2
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    rgba[inside] = (*colour, 255)
    return rgba


def point(column=SIDE // 2):
    pixels = torch.zeros(1, 3, SIDE, SIDE)
    pixels[..., SIDE // 2, column] = 1
    return pixels


@pytest.mark.parametrize("size", [0.5, 0.75, 1.0])
def test_a_smaller_object_has_the_area_of_its_size_and_its_own_colour_and_place(size):
    small = resized(disc(12), size)
    area = small[..., 3].sum() / 255
    assert area == pytest.approx((disc(12)[..., 3] > 0).sum() * size**2, rel=0.03)
    shown = small[..., 3] > 128
    assert np.abs(small[shown][:, :3].astype(int) - (200, 100, 50)).max() <= 1  # no dark rim
    rows, columns = np.nonzero(shown)
    assert rows.mean() == columns.mean() == SIDE / 2 - 0.5
    if size == 1:
        assert (small == disc(12)).all()


def test_a_pan_spreads_a_point_over_its_length_along_the_row_only():
    found = panned(point(), 6.0)[0, 0]
    assert found.sum() == pytest.approx(1, abs=1e-5) and found[SIDE // 2].sum() == pytest.approx(1, abs=1e-5)
    columns = torch.arange(SIDE).double()
    share = found[SIDE // 2].double()
    middle = float((share * columns).sum())
    assert middle == pytest.approx(SIDE // 2, abs=1e-4)
    # a uniform shift has the variance length² / 12; sampling between pixels adds at most 1/4
    assert float((share * (columns - middle) ** 2).sum()) == pytest.approx(3, abs=0.5)


def test_a_zoom_moves_what_is_off_the_middle_outwards():
    found = zoomed(point(SIDE // 2 + 8), 1.5)[0, 0]
    columns = torch.arange(SIDE).double() + 0.5 - SIDE / 2
    mean = float((found.sum(0).double() * columns).sum() / found.sum())
    assert 8.5 < mean < 8.5 * 1.5 and (found.sum(0)[columns < 8] < 1e-6).all()
    flat = torch.full((1, 3, SIDE, SIDE), 0.3)
    torch.testing.assert_close(zoomed(flat, 1.4), flat)


def test_the_focus_is_sharp_at_its_end_and_blurred_by_the_given_diameter_at_the_other():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(1, 3, SIDE, SIDE, generator=generator)
    depth = torch.full((SIDE, SIDE), float("inf"))
    depth[8:24, :16], depth[8:24, 16:] = 2.0, 3.0
    near, far = focused(pixels, depth, True, 4.0), focused(pixels, depth, False, 4.0)
    assert near[..., 8:24, :16].equal(pixels[..., 8:24, :16]) and not near[..., 8:24, 16:].equal(pixels[..., 8:24, 16:])
    assert far[..., 8:24, 16:].equal(pixels[..., 8:24, 16:]) and not far[..., 8:24, :16].equal(pixels[..., 8:24, :16])
    assert far[..., :8, :].equal(pixels[..., :8, :])  # the background stands behind the farthest point
    spot = focused(point(20), torch.where(torch.arange(SIDE)[:, None] < 4, 2.0, 3.0).expand(SIDE, SIDE), True, 8.0)[
        0, 0
    ]
    rows = torch.arange(SIDE).double() - SIDE // 2
    assert float((spot.sum(1).double() * rows**2).sum() / spot.sum()) == pytest.approx((8 / 4) ** 2, rel=0.05)
    nothing = torch.full((SIDE, SIDE), float("inf"))
    assert focused(pixels, nothing, True, 4.0).equal(pixels)


def test_one_change_at_a_time():
    assert before_compositing(ChangeParams(size=0.5), disc(12))[0, 0, 3] == 0
    image = np.full((SIDE, SIDE, 3), 77, np.uint8)
    depth = np.full((SIDE, SIDE), np.inf, np.float32)
    for change in ({"pan_px": 3.0}, {"zoom": 1.2}, {"focus": "near"}, {"size": 0.5}):
        assert (after_compositing(ChangeParams(**change), image, depth) == image).all()
    for wrong in ({}, {"size": 0.5, "zoom": 1.5}):
        with pytest.raises(ValueError, match="one of size, pan_px, zoom, focus at a time"):
            parse(ChangeParams, wrong)
