"""How much of a surface lies outside of a near and a far plane, against closed forms; scales that bring it inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robust3d.data.planes import Surface, outside, scale_between, surface_of


@pytest.mark.parametrize(("radius", "distance"), [(0.3, 1.3), (0.45, 2.732), (0.45, 1.0)])
def test_a_balls_distances_and_the_share_before_a_plane(radius, distance, balls):
    surface = surface_of(*balls.stacked(balls.ball(radius, distance, side=96, focal=0.9)))
    assert surface.nearest == pytest.approx(distance - radius, abs=1e-3)
    assert surface.farthest == pytest.approx(distance + radius, abs=1e-3)  # its back, which the opposite camera sees
    assert surface.reach == pytest.approx(radius, abs=1e-3) and surface.reaches.max() <= surface.reach
    rim = np.sqrt(distance**2 - radius**2)
    assert surface.seen.max() == pytest.approx(rim, rel=0.03)
    for part in (0.2, 0.5, 0.8):
        near = distance - radius + part * (rim - distance + radius)
        before, behind = outside([surface], near, 9.0)
        assert before == pytest.approx(balls.share_before(near, radius, distance), abs=0.02) and behind == 0
        assert outside([surface], 0.0, near) == pytest.approx((0, 1 - before), abs=1e-9)
    assert outside([surface], distance - radius, rim) == pytest.approx((0, 0), abs=1e-3)


def test_shares_are_means_over_objects(balls):
    near, far = (surface_of(*balls.stacked(balls.ball(0.3, distance))) for distance in (1.0, 3.0))
    assert outside([near, far], 1.0, 2.0) == (0.5, 0.5)
    assert outside([near, far], 0.5, 1.0, scale=1 / 3) == (0.5, 0.0) != outside([near, far], 0.5, 1.0)


def test_where_depth_is_not_known_the_hull_stands_for_the_surface(balls):
    frames = balls.ball(0.3, 1.3)
    masks, depth, poses, intrinsics = balls.stacked(frames)
    unknown = np.where(masks, np.nan, np.inf)
    hull = surface_of(masks, unknown, poses, intrinsics)
    # The hull of six silhouettes holds the ball and stays within the cylinders' corners.
    assert 1.0 - 0.3 * 0.5 < hull.nearest <= 1.0 + 0.02 and hull.seen.mean() == pytest.approx(1.07, abs=0.06)
    assert surface_of(masks, unknown, poses, intrinsics, hull=False) is None
    assert surface_of(masks & False, np.full(masks.shape, np.inf), poses, intrinsics) is None
    partly = unknown.copy()
    partly[1] = depth[1]  # one view's depth is known: nothing else counts
    alone = surface_of(masks[1:2], depth[1:2], poses[1:2], intrinsics[1:2])
    np.testing.assert_array_equal(surface_of(masks, partly, poses, intrinsics).seen, alone.seen)


def test_a_depth_map_is_camera_z_and_distances_run_along_the_ray():
    """A wall at z = 2, seen at 90 degrees: its corners are 2 sqrt 3 away."""
    masks, depth = np.ones((1, 9, 9), bool), np.full((1, 9, 9), 2.0)
    intrinsics = np.array([[[4.5, 0, 4.5], [0, 4.5, 4.5], [0, 0, 1]]])
    surface = surface_of(masks, depth, np.eye(4)[None], intrinsics)
    x, y = np.meshgrid((np.arange(9) - 4) / 4.5, (np.arange(9) - 4) / 4.5)
    np.testing.assert_allclose(np.sort(surface.seen), np.sort(2 * np.sqrt(1 + x**2 + y**2).ravel()))


def flat(nearest, seen, farthest):
    return Surface(np.asarray(seen, float), nearest, farthest, 0.5, np.array([0.5]))


def test_scales_by_hand():
    thing = flat(2.2, [2.2, 3.0], 4.9)
    assert scale_between([thing], 1.2, 4.9) == 1.0  # fits as it is
    assert scale_between([thing], 1.2, 4.0) == pytest.approx(4.0 / 4.9)  # the largest that fits
    assert scale_between([thing], 0.8, 1.8) == pytest.approx(1.8 / 4.9)
    assert scale_between([flat(1.0, [1.0, 1.3], 1.6)], 1.25, 2.75) == pytest.approx(1.25)  # the smallest above 1
    assert scale_between([flat(1.0, [1.0, 1.3], 1.6)], 1.25, 2.75, largest=1.0) == 1.0
    assert scale_between([flat(0.0, [0.0, 1.0], 2.0)], 1.0, 3.0) == 1.0  # a camera in the surface: nothing helps
    # From 1 to 3 nothing fits between 1 and 2, but all that is seen, from 1 to 1.9, does as it is.
    assert scale_between([flat(1.0, [1.0, 1.9], 3.0)], 1.0, 2.0) == 1.0
    assert scale_between([flat(2.0, [2.0, 3.8], 6.0)], 1.0, 2.0) == 0.5


@given(
    ends=st.lists(st.tuples(st.floats(0.05, 9), st.floats(0, 9)), min_size=1, max_size=4),
    near=st.floats(0.1, 3),
    ratio=st.floats(1.05, 6),
    largest=st.sampled_from([1.0, 0.7, np.inf]),
)
@settings(max_examples=200, deadline=None)
def test_a_scale_that_fits_is_found_and_is_the_nearest_to_one(ends, near, ratio, largest):
    things = [flat(low, np.linspace(low, low + more / 2, 5), low + more) for low, more in ends]
    low, high = min(thing.nearest for thing in things), max(thing.farthest for thing in things)
    far = near * ratio
    scale = scale_between(things, near, far, largest)
    assert 0 < scale <= largest

    def fits(s):
        return s * low >= near * (1 - 1e-9) and s * high <= far * (1 + 1e-9)

    if far / near >= high / low and near / low <= largest:
        assert fits(scale)
        for other in np.geomspace(min(scale, 1), max(scale, 1), 7)[1:-1]:
            nearer = abs(np.log(other)) < abs(np.log(scale)) - 1e-6
            assert not (nearer and other <= largest and fits(other * (1 + 1e-6)) and fits(other * (1 - 1e-6)))
    else:
        for other in (min(1.0, largest), min(near / low, largest), min(far / high, largest)):
            assert sum(outside(things, near, far, scale)) <= sum(outside(things, near, far, other)) + 1e-12
