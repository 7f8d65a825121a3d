"""A training ends at once if its rays are sampled where the objects are not, and names planes that fit."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from robust3d.architectures import architecture
from robust3d.data.multiview import Multiview
from robust3d.errors import UserError
from robust3d.models.encoder import Encoder
from robust3d.pretraining import dvr, pixelnerf
from robust3d.seeds import torch_generator
from robust3d.training.planes import check_cube, check_planes

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)
SMALL = {
    "use_first_pool": True,
    "width": 16,
    "blocks": 3,
    "activation": "softplus",
    "coarse_samples": 4,
    "importance_samples": 0,
    "depth_samples": 0,
    "batch": 2,
    "rays": 8,
}


def scaled(views: Multiview, scale: float) -> Multiview:
    poses = views.world_to_camera.clone()
    poses[..., :3, 3] *= scale
    return replace(views, world_to_camera=poses, depth=views.depth * scale)


@pytest.fixture(scope="module")
def encoder():
    return Encoder(RESNET18)


@pytest.fixture
def near_ones(toy_solids):
    """The toy solids as SRN's cameras see cars, 1.3 away; (train, held out)."""
    return [scaled(views, 1.3 / 2.732) for views in (toy_solids.train, toy_solids.held_out)]


def shares_by_hand(views, near, far):
    """Of the seen surface, before and behind the planes; mean over objects."""
    side = views.masks.shape[-1]
    grid = torch.arange(side) + 0.5
    focal, centre = views.intrinsics[0, 0, 0, 0], side / 2
    length = (1 + ((grid - centre) / focal)[None] ** 2 + ((grid - centre) / focal)[:, None] ** 2).sqrt()
    distance = torch.where(views.masks, views.depth * length, torch.nan)
    return tuple(
        float(np.mean([test(one[~one.isnan()], plane).float().mean() for one in distance]))
        for test, plane in ((torch.lt, near), (torch.gt, far))
    )


def test_fixed_planes_in_front_of_which_objects_lie_are_refused_and_those_named_work(near_ones, encoder):
    train, held_out = near_ones
    before, behind = (
        (24 * a + 6 * b) / 30
        for a, b in zip(shares_by_hand(train, 1.2, 4.0), shares_by_hand(held_out, 1.2, 4.0), strict=True)
    )
    assert 0.3 < before < 0.99 and behind == 0
    with pytest.raises(UserError) as refused:
        pixelnerf.make_task(pixelnerf.Params(**SMALL), encoder, train, held_out, 0, "cpu")
    told = str(refused.value)
    found = re.search(r"near: 1.2 and far: 4 leave out (\d+)% .*\((\d+)% of it lies before near, 0% behind", told)
    assert [int(n) for n in found.groups()] == pytest.approx([100 * before] * 2, abs=1.5)
    near, far = (float(n) for n in re.search(r"Set near: ([\d.]+) and far: ([\d.]+), or near_far: aabb", told).groups())
    assert 0.9 < near < far < 1.8
    task = pixelnerf.make_task(pixelnerf.Params(**SMALL, near=near, far=far), encoder, train, held_out, 0, "cpu")
    assert task.loss(0, torch_generator("step", 0))[0].isfinite()
    pixelnerf.make_task(pixelnerf.Params(**SMALL | {"near_far": "aabb"}), encoder, train, held_out, 0, "cpu")


def test_planes_before_the_objects_are_refused_too_and_held_out_views_count(toy_solids, near_ones):
    with pytest.raises(UserError, match=r"\(0% of it lies before near, 100% behind far\)"):
        check_planes(0.8, 1.8, toy_solids.train, toy_solids.held_out)
    check_planes(0.8, 1.8, *near_ones)
    with pytest.raises(UserError, match="behind far"):
        check_planes(0.8, 1.8, near_ones[0], toy_solids.held_out)
    check_planes(1.2, 4.0, toy_solids.train, toy_solids.held_out)  # as published


def test_up_to_a_hundredth_may_be_outside(toy_solids):
    views = toy_solids.train
    side = views.masks.shape[-1]
    grid = (torch.arange(side) + 0.5 - side / 2) / views.intrinsics[0, 0, 0, 0]
    length = (1 + grid[None] ** 2 + grid[:, None] ** 2).sqrt()
    distances = (views.depth * length)[views.masks].sort().values
    for share, passes in ((0.004, True), (0.03, False)):
        near = float(distances[int(share * len(distances))])
        if passes:
            check_planes(near, 9.0, views)
        else:
            with pytest.raises(UserError, match="before near"):
                check_planes(near, 9.0, views)


def test_without_depth_the_hull_tells(near_ones):
    train, held_out = (views.subset(3) for views in near_ones)
    flat = [replace(views, depth=torch.where(views.masks, torch.nan, torch.inf)) for views in (train, held_out)]
    with pytest.raises(UserError, match="before near"):
        check_planes(1.2, 4.0, *flat)
    check_planes(0.8, 1.8, *flat)


def test_objects_that_reach_out_of_the_cube_are_refused_where_rays_are_sampled_in_it(toy_solids, encoder):
    large = [scaled(views, 2.0) for views in (toy_solids.train, toy_solids.held_out)]
    for method, settings in ((pixelnerf, SMALL | {"near_far": "aabb"}), (dvr, {})):
        with pytest.raises(UserError, match=r"outside of the cube of side 1.*objects reach out to 0.7") as refused:
            method.make_task(method.Params(**settings), encoder, *large, 0, "cpu")
    divisor = float(re.search(r"depth maps by ([\d.]+)", str(refused.value))[1])
    check_cube(0.5, *(scaled(views, 1 / divisor) for views in large))
    check_cube(0.5, toy_solids.train, replace(large[0], depth=large[0].depth * torch.nan))
