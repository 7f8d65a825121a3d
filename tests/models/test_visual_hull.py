"""The visual hull of solids whose silhouettes and depths are known in closed form."""

import math

import numpy as np
import pytest
import torch
from look import look_from
from torch import Tensor

from robust3d.data.multiview import OnHost
from robust3d.models import visual_hull
from robust3d.models.implicit import at, cube_interval, pixel_rays
from robust3d.models.visual_hull import hull_depth

torch.set_num_threads(1)

DISTANCE = 3.6
# Half axes, centre and kind; "rod" and "plate" are about a pixel and a half wide at 32 px.
SOLIDS = {
    "sphere": ("ellipsoid", (0.35, 0.35, 0.35), (0.0, 0.0, 0.0)),
    "ellipsoid": ("ellipsoid", (0.45, 0.15, 0.25), (0.03, -0.1, 0.1)),
    "box": ("box", (0.2, 0.45, 0.3), (0.05, 0.0, -0.1)),
    "plate": ("box", (0.4, 0.04, 0.35), (0.0, 0.2, 0.0)),
    "rod": ("box", (0.045, 0.5, 0.045), (0.2, 0.0, 0.1)),
}


def eyes(views: int) -> np.ndarray:
    """Evenly spread over the sphere."""
    number = np.arange(views) + 0.5
    height, angle = 1 - 2 * number / views, math.pi * (1 + math.sqrt(5)) * number
    return (
        DISTANCE * np.stack([np.cos(angle) * np.sqrt(1 - height**2), height, np.sin(angle) * np.sqrt(1 - height**2)]).T
    )


def entry(solid: str, origins: Tensor, directions: Tensor) -> Tensor:
    """Depth at which rays (M, 3) enter a solid, inf for a miss."""
    kind, half, centre = SOLIDS[solid]
    o, d = (origins - torch.tensor(centre)) / torch.tensor(half), directions / torch.tensor(half)
    if kind == "ellipsoid":
        a, b, c = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1
        root = b * b - a * c
        return torch.where(root > 0, (-b - root.clamp(min=0).sqrt()) / a, torch.inf)
    low, high = torch.minimum((-1 - o) / d, (1 - o) / d).amax(-1), torch.maximum((-1 - o) / d, (1 - o) / d).amin(-1)
    return torch.where(low < high, low, torch.inf)


class Scene:
    """All solids, each in the same views: cameras, masks, and some rays of masks with their true depth."""

    def __init__(self, views: int, side_px: int, zoom: float = 1.0, dtype: torch.dtype = torch.float32) -> None:
        focal = zoom * side_px / 2 / math.tan(math.radians(15))
        optics = torch.tensor([[focal, 0, side_px / 2], [0, focal, side_px / 2], [0, 0, 1]], dtype=torch.float64)
        poses = torch.from_numpy(np.stack([look_from(eye) for eye in eyes(views)]))
        origins, directions = pixel_rays(
            poses, optics.expand(views, 3, 3), torch.arange(side_px**2).expand(views, -1), side_px
        )
        depth = torch.stack([entry(solid, origins, directions) for solid in SOLIDS])
        mask = depth.isfinite()
        drawn = torch.randperm(int(mask.sum()), generator=torch.Generator().manual_seed(0))[:1000]
        self.objects, view, pixel = mask.nonzero()[drawn].unbind(1)
        self.origins, self.directions = origins[view, pixel].to(dtype), directions[view, pixel].to(dtype)
        self.depth = depth[self.objects, view, pixel]
        self.masks = mask.unflatten(2, (side_px, side_px))
        self.cameras = tuple(t.to(dtype).expand(len(SOLIDS), views, *t.shape[-2:]) for t in (poses, optics))

    def hull(self, masks: "Tensor | OnHost | None" = None, **how: int) -> Tensor:
        masks = self.masks if masks is None else masks
        return hull_depth(self.origins, self.directions, self.objects, masks, *self.cameras, **how)

    @property
    def step(self) -> Tensor:
        near, far, _ = cube_interval(self.origins, self.directions, 0.5)
        return (far - near) / 127


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(24, 32)


@pytest.mark.parametrize("zoom", [1.0, 2.0])
@pytest.mark.parametrize("side_px", [32, 64])
def test_a_hull_is_never_behind_the_surface(side_px: int, zoom: float) -> None:
    """Also where the pictures cut the objects off, as zoom 2 does: beyond their rims nothing is known to be free."""
    scene = Scene(24, side_px, zoom)
    assert (zoom > 1) == bool(scene.masks[:, :, 0].any())
    hull = scene.hull()
    found = hull.isfinite()
    assert found.double().mean() >= 0.998  # a corner or the end of a rod may lie between the centres of a view
    behind = hull - scene.depth
    assert behind[found].max() < 0.014 + 1e-5  # the longest step
    assert (behind <= scene.step + 1e-5)[found].double().mean() >= 0.995


def test_many_views_leave_little_more_than_a_convex_solid() -> None:
    for views, side_px in ((24, 32), (60, 64)):
        pixel = DISTANCE * 2 * math.tan(math.radians(15)) / side_px
        scene = Scene(views, side_px)
        in_front = (scene.depth - scene.hull())[scene.objects < 3]
        assert in_front.median() < 0.75 * pixel


def test_a_single_view_leaves_everything_behind_its_mask() -> None:
    """The hull of one silhouette is a cone, which starts where the cube does."""
    one = Scene(1, 32)
    near, _, meets = cube_interval(one.origins, one.directions, 0.5)
    assert meets.all()
    torch.testing.assert_close(one.hull(), near)


def test_rays_beside_the_hull_or_the_cube_have_no_depth(scene: Scene) -> None:
    origins = torch.tensor([[0.0, 0.0, 3.0], [0.45, 0.45, 3.0], [0.7, 0.0, 3.0]])
    directions = torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3)
    depth = hull_depth(origins, directions, torch.zeros(3, dtype=torch.long), scene.masks, *scene.cameras)
    assert 2.55 <= depth[0] <= 2.66  # the sphere's front is at 2.65
    assert depth[1] == depth[2] == torch.inf
    everything = torch.ones_like(scene.masks)
    depth = hull_depth(origins, directions, torch.zeros(3, dtype=torch.long), everything, *scene.cameras)
    assert depth[0] == depth[1] == 2.5 and depth[2] == torch.inf
    nothing = hull_depth(origins, directions, torch.zeros(3, dtype=torch.long), ~everything, *scene.cameras)
    assert (nothing == torch.inf).all()


def test_a_point_between_a_covered_and_a_free_centre_is_held_to_be_covered() -> None:
    """One camera far away, so that a column of points is one image point; the four centres around it decide."""
    pose = torch.eye(4)[None, None].clone()
    pose[..., 2, 3] = 1000.0
    optics = torch.tensor([[4000.0, 0, 2], [0, 4000.0, 2], [0, 0, 1]])[None, None]  # four pixels a side of the cube
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[0, 0, 1, 2] = True  # centre at x = 0.125, y = -0.125
    x, y = torch.meshgrid(torch.linspace(-0.49, 0.49, 50), torch.linspace(-0.49, 0.49, 50), indexing="ij")
    origins = torch.stack([x, y, torch.full_like(x, -2.0)], -1).flatten(0, 1)
    directions = torch.tensor([0.0, 0.0, 1.0]).expand_as(origins)
    found = hull_depth(origins, directions, torch.zeros(2500, dtype=torch.long), mask, pose, optics).isfinite()
    rim = origins[:, :2].abs().amax(1) > 0.375  # beyond the outermost centres the picture says nothing
    expected = ((origins[:, 0] - 0.125).abs() < 0.25) & ((origins[:, 1] + 0.125).abs() < 0.25)
    assert torch.equal(found[~rim], expected[~rim])


def test_what_is_behind_a_camera_is_not_ruled_out_by_it(scene: Scene) -> None:
    """A camera that stands in the cube and looks away from the object, with an empty picture."""
    backwards = torch.eye(4)[None].clone()
    backwards[0, 2, 3] = -0.45  # at z = 0.45, looks along +z
    poses = torch.cat([scene.cameras[0][:1], backwards[None]], 1)
    optics = torch.cat([scene.cameras[1][:1], scene.cameras[1][:1, :1]], 1)
    masks = torch.cat([scene.masks[:1], torch.zeros_like(scene.masks[:1, :1])], 1)
    sphere = scene.objects == 0
    rays = scene.origins[sphere], scene.directions[sphere], scene.objects[sphere]
    points = at(rays[0], rays[1], scene.hull()[sphere])
    behind = points[:, 2] < 0.44
    assert behind.any()
    torch.testing.assert_close(hull_depth(*rays, masks, poses, optics)[behind], scene.hull()[sphere][behind])


def test_what_a_picture_of_the_whole_object_does_not_show_is_ruled_out() -> None:
    """Near cameras with a narrow field of view: the cube reaches out of every picture, a small ball does not."""
    eye, focal = 0.9, 60.0
    optics = torch.tensor([[focal, 0, 16], [0, focal, 16], [0, 0, 1]]).expand(1, 2, 3, 3)
    poses = torch.from_numpy(np.stack([look_from(np.array(at)) for at in ((eye, 0, 0.01), (0, eye, 0.01))])).float()[
        None
    ]
    row, column = torch.meshgrid(torch.arange(32) + 0.5 - 16, torch.arange(32) + 0.5 - 16, indexing="ij")
    disc = (row**2 + column**2) < (0.15 * focal / eye) ** 2  # a ball of radius 0.15, seen along both axes
    masks = disc.expand(1, 2, 32, 32)
    origins = torch.tensor([[0.0, eye, 0.0], [0.45, eye, 0.0]])
    directions = torch.tensor([[0.0, -1.0, 0.0]]).expand(2, 3)
    objects = torch.zeros(2, dtype=torch.long)
    through, beside = hull_depth(origins, directions, objects, masks, poses, optics)
    assert 0.7 < through < 0.9 and beside == torch.inf
    cropped = masks.clone()
    cropped[0, :, 0, 0] = True  # now both pictures say that the object goes on beyond them
    assert hull_depth(origins, directions, objects, cropped, poses, optics).isfinite().all()


def test_chunks_precision_and_masks_on_the_host_change_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    hull = scene.hull()
    assert torch.equal(scene.hull(OnHost(scene.masks, torch.device("cpu"))), hull)
    monkeypatch.setattr(visual_hull, "CHUNK_RAYS", 1000)
    assert torch.equal(scene.hull(), hull)
    exact = Scene(24, 32, dtype=torch.float64).hull()
    assert ((exact - hull).abs() < 1e-4).double().mean() > 0.995
