"""DVR as a task: losses on exactly their pixels, and learning on analytic spheres and boxes."""

import math

import numpy as np
import pytest
import torch
from look import look_from
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import softplus

from robust3d.architectures import architecture
from robust3d.data.multiview import Multiview
from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.models.implicit import Hits, at, cube_interval
from robust3d.models.visual_hull import hull_depth
from robust3d.pretraining.dvr import Params, make_task
from robust3d.pretraining.dvr.params import Loop, LossWeights
from robust3d.pretraining.dvr.task import DVRPretraining, RayBatch, dvr_losses, pixel_sets, take_rays
from robust3d.seeds import torch_generator

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)

SIZE_PX = 32
DISTANCE = 2.732


def look_at(azimuth: float, elevation: float) -> np.ndarray:
    eye = DISTANCE * np.array(
        [
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
            math.cos(elevation) * math.cos(azimuth),
        ]
    )
    return look_from(eye)


def trace(kind: str, half: np.ndarray, origin: np.ndarray, directions: np.ndarray):
    """Entry depth (inf for a miss) and outward normal of an ellipsoid or a box around the origin."""
    o, d = origin / half, directions / half
    if kind == "sphere":
        a, b, c = (d**2).sum(1), (d * o).sum(1), (o**2).sum() - 1
        disc = b * b - a * c
        depth = np.where(disc > 0, (-b - np.sqrt(np.maximum(disc, 0))) / a, np.inf)
        normal = (o + np.where(np.isfinite(depth), depth, 0)[:, None] * d) / half
    else:
        low = np.minimum((-1 - o) / d, (1 - o) / d)
        high = np.maximum((-1 - o) / d, (1 - o) / d)
        depth = np.where(low.max(1) < high.min(1), low.max(1), np.inf)
        normal = -np.sign(d) * np.eye(3)[low.argmax(1)]
    return depth, normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)


def toy(objects: int, views: int, seed: int, first_view: int = 0) -> Multiview:
    """Spheres and boxes of random size and grey in Lambert light on white, NMR intrinsics, ray traced."""
    focal = (2 + math.sqrt(3)) * SIZE_PX / 2
    k = np.array([[focal, 0, SIZE_PX / 2], [0, focal, SIZE_PX / 2], [0, 0, 1]])
    column, row = np.meshgrid(np.arange(SIZE_PX) + 0.5, np.arange(SIZE_PX) + 0.5)
    in_camera = np.stack([column, row, np.ones_like(row)], -1).reshape(-1, 3) @ np.linalg.inv(k).T
    light = np.array([0.5, 0.8, 0.33])
    images, masks, depths, poses = [], [], [], []
    for i in range(objects):
        rng = np.random.default_rng([seed, i])
        kind = ("sphere", "box")[i % 2]
        half = rng.uniform(0.18, 0.42, 3) if kind == "box" else np.full(3, rng.uniform(0.2, 0.45))
        albedo = rng.choice([0.35, 0.6, 0.85])
        for view in range(first_view, first_view + views):
            rng = np.random.default_rng([seed, i, view])
            pose = look_at(rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(10, 50)))
            eye = -pose[:3, :3].T @ pose[:3, 3]
            depth, normal = trace(kind, half, eye, in_camera @ pose[:3, :3])
            shade = albedo * (0.4 + 0.6 * np.clip(normal @ light, 0, 1))
            mask = np.isfinite(depth)
            images.append(np.repeat(np.where(mask, shade, 1.0)[:, None], 3, 1))
            masks.append(mask)
            depths.append(depth)
            poses.append(pose)
    shape = (objects, views)
    grid = np.array(images).reshape(*shape, SIZE_PX, SIZE_PX, 3)
    pixels = torch.from_numpy((grid.clip(0, 1) * 255).round().astype(np.uint8)).movedim(-1, 2).contiguous()
    return Multiview(
        inputs=pixels,
        targets=pixels,
        masks=torch.from_numpy(np.array(masks)).reshape(*shape, SIZE_PX, SIZE_PX),
        depth=torch.from_numpy(np.array(depths, np.float32)).reshape(*shape, SIZE_PX, SIZE_PX),
        world_to_camera=torch.from_numpy(np.array(poses, np.float32)).reshape(*shape, 4, 4),
        intrinsics=torch.from_numpy(k.astype(np.float32)).expand(*shape, 3, 3).contiguous(),
        class_index=torch.arange(objects) % 2,
        names=[f"{('sphere', 'box')[i % 2]}/{i // 2}" for i in range(objects)],
    )


class SmallEncoder(nn.Module):
    """A few convolutions in place of ResNet-18."""

    feature_dim = 64

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in, channels_out in ((3, 16), (16, 32), (32, 64), (64, 64)):
            layers += [nn.Conv2d(channels_in, channels_out, 3, 2, 1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers((images - 0.5) / 0.5).mean((2, 3))


SMALL = {
    "input_px": None,
    "hidden": 64,
    "initialisation": "geometric",
    "batch": 8,
    "pixels": 128,
    "march_steps": (16,),
    "march_schedule": (),
    "secant_steps": 4,
    "chunk_points": 4096,
    "validation_march_steps": 32,
    "validation_images": 16,
    "loop": Loop(steps=400, learning_rate=1e-3),
}


def small_task(train: Multiview, held_out: Multiview, **changes) -> DVRPretraining:
    with seeded_initialisation(0, "test"):
        encoder = SmallEncoder()
    return DVRPretraining(Params(**(SMALL | changes)), encoder, train, held_out, 0, "cpu")


def fit(task: DVRPretraining, steps: int) -> list[dict[str, float]]:
    optimiser = torch.optim.Adam(task.module.parameters(), task.params.loop.learning_rate)
    history = []
    for step in range(steps):
        task.module.train()
        loss, metrics = task.loss(step, torch_generator(0, step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append({"loss": float(loss.detach()), **{name: float(value) for name, value in metrics.items()}})
    return history


def validated(task: DVRPretraining) -> dict[str, float]:
    task.module.eval()
    with torch.no_grad():
        return task.validate()


@pytest.mark.parametrize("mode", ["code", "paper"])
def test_pixel_sets_partition_the_pixels(mode):
    crossing = torch.tensor([1, 1, 0, 0, 0, 0]).bool()
    inside = torch.tensor([0, 0, 1, 1, 0, 0]).bool()
    mask = torch.tensor([1, 0, 1, 0, 1, 0]).bool()
    sets = pixel_sets(mask, Hits(torch.zeros(6), crossing, inside), mode)
    assert sets.surface.tolist() == [True] + 5 * [False]
    assert sets.occupancy.tolist() == [False] * 4 + [True, False]
    if mode == "code":
        assert sets.normal.tolist() == [True, True] + 4 * [False]
        assert sets.freespace.tolist() == [False, True, False, True, False, True]
    else:
        assert sets.normal.tolist() == sets.surface.tolist()
        assert sets.freespace.tolist() == [False, True, False, True, False, False]


class Ball(nn.Module):
    """A decoder whose field is 10 (radius - |p|) and whose colour is one learned grey."""

    def __init__(self, radius: float) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(radius))
        self.grey = nn.Parameter(torch.tensor(0.3))

    def forward(self, points: Tensor, condition: Tensor) -> Tensor:
        logit = 10 * (self.radius - points.norm(dim=-1, keepdim=True))
        return torch.cat((logit, self.grey.expand(*points.shape)), -1)

    def field(self, condition: Tensor, owner: Tensor):
        return lambda points, rows: self(points, condition)[..., 0]


def ball_losses(rays: RayBatch, radius: float = 0.3, anchor: Tensor | None = None, **changes):
    decoder = Ball(radius)
    params = Params(**(SMALL | {"march_steps": (64,)} | changes))
    anchor = torch.full_like(rays.near, torch.inf) if anchor is None else anchor
    generator = torch.Generator().manual_seed(0)
    losses, hits = dvr_losses(decoder, torch.zeros(9, 1, 1), rays, lambda chosen: anchor[chosen], params, 0, generator)
    return decoder, losses, hits


@pytest.fixture(scope="module")
def views() -> Multiview:
    return toy(4, 5, seed=1)


@pytest.fixture(scope="module")
def batch(views: Multiview) -> RayBatch:
    pixels = torch.arange(SIZE_PX**2).expand(4, -1)
    return take_rays(views, torch.arange(4), torch.tensor([0, 1, 2, 3]), pixels, 0.55)


def test_rays_carry_the_colour_mask_and_depth_of_their_pixel(views):
    pixels = torch.tensor([[5 * SIZE_PX + 17, 16 * SIZE_PX + 15], [16 * SIZE_PX + 16, 14 * SIZE_PX + 18]])
    rays = take_rays(views, torch.tensor([2, 1]), torch.tensor([4, 0]), pixels, 0.55)
    places = [(2, 4, 5, 17), (2, 4, 16, 15), (1, 0, 16, 16), (1, 0, 14, 18)]
    assert rays.owner.tolist() == [0, 0, 1, 1]
    for i, (o, v, r, c) in enumerate(places):
        assert torch.equal(rays.colour[i], views.targets[o, v, :, r, c] / 255)
        assert rays.mask[i] == views.masks[o, v, r, c] and rays.depth[i] == views.depth[o, v, r, c]
    surface = at(rays.origins, rays.directions, rays.depth)[rays.mask]
    assert (surface.abs() <= 0.45 + 1e-4).all() and len(surface) >= 3


@pytest.mark.parametrize("mode", ["code", "paper"])
def test_each_loss_sums_exactly_its_pixels(batch, mode):
    decoder, losses, hits = ball_losses(batch, loss_mode=mode)
    hit, mask = hits.crossing, batch.mask
    assert (hit & mask).any() and (hit & ~mask).any() and (mask & ~hit).any() and not hits.inside.any()
    grey = torch.sigmoid(decoder.grey)
    assert torch.isclose(losses["rgb"], (batch.colour[hit & mask] - grey).abs().sum(), rtol=1e-5)
    true = batch.depth[hit & mask]
    assert torch.isclose(losses["depth"], (hits.depth[hit & mask] - true).abs().sum(), rtol=1e-4)

    generator = torch.Generator().manual_seed(0)
    random = torch.rand(len(mask), generator=generator)  # the first draw of a step
    near, far, _ = cube_interval(batch.origins, batch.directions, 0.5)
    inner = at(batch.origins, batch.directions, near + random * (far - near))
    logits = 10 * (decoder.radius - inner.norm(dim=-1))
    assert torch.isclose(losses["occupancy"], softplus(-logits[mask & ~hit]).sum(), rtol=1e-5)
    outer = at(batch.origins, batch.directions, batch.near + random * (batch.far - batch.near))
    logits = 10 * (decoder.radius - outer.norm(dim=-1))
    on_surface = (hit & ~mask).sum() * math.log(2)
    elsewhere = softplus(logits[~hit & ~mask]).sum() if mode == "code" else 0
    assert torch.isclose(losses["freespace"], on_surface + elsewhere, rtol=1e-4)


def test_normal_loss_is_the_turn_of_a_spheres_normal(batch):
    radius, step = 0.3, 0.02
    for mode in ("code", "paper"):
        _, losses, hits = ball_losses(batch, radius, loss_mode=mode, normal_step=step)
        chosen = hits.crossing if mode == "code" else hits.crossing & batch.mask
        # A neighbour drawn in a cube of side `step` lies on average 0.4 step off along the two tangents.
        expected = chosen.sum() * 0.383 * step / radius
        assert torch.isclose(losses["normal"], expected, rtol=0.1)


def test_a_camera_inside_the_object_gives_no_colour_or_normal_loss(batch):
    decoder, losses, hits = ball_losses(batch, radius=5.0)
    assert hits.inside.all()
    assert losses["rgb"] == 0 and losses["normal"] == 0 and losses["occupancy"] == 0 and losses["depth"] == 0
    assert losses["freespace"] > 0
    losses["freespace"].backward()
    assert decoder.radius.grad > 0


def test_a_batch_without_hits_or_mask_has_finite_gradients(batch):
    nothing = RayBatch(**{**batch.__dict__, "mask": torch.zeros_like(batch.mask)})
    decoder, losses, hits = ball_losses(nothing, radius=-1.0, loss_mode="paper")
    assert not hits.crossing.any()
    sum(losses.values()).backward()
    assert decoder.radius.grad == 0 and decoder.grey.grad == 0


def test_depth_loss_moves_the_surface_to_the_truth(batch):
    decoder, losses, hits = ball_losses(batch, radius=0.1)
    chosen = hits.crossing & batch.mask
    losses["depth"].backward()
    assert (hits.depth[chosen] > batch.depth[chosen]).float().mean() > 0.9  # the ball is too small …
    assert decoder.radius.grad < 0  # … so a larger one lowers the loss


def test_occupancy_is_tested_at_the_anchor(batch):
    anchor = torch.where(batch.mask, batch.depth, torch.inf)
    decoder, losses, hits = ball_losses(batch, anchor=anchor)
    chosen = batch.mask & ~hits.crossing
    points = at(batch.origins, batch.directions, batch.depth)[chosen]
    expected = softplus(-10 * (decoder.radius - points.norm(dim=-1))).sum()
    assert torch.isclose(losses["occupancy"], expected, rtol=1e-5)


def test_visual_hull_contains_the_object_and_not_much_more():
    views = toy(2, 10, seed=5)  # a sphere and a box
    pixels = torch.arange(SIZE_PX**2).expand(2, -1)
    rays = take_rays(views, torch.arange(2), torch.tensor([3, 3]), pixels, 0.55)
    cameras = views.masks, views.world_to_camera, views.intrinsics
    depth = hull_depth(rays.origins, rays.directions, rays.owner, *cameras)
    assert torch.equal(depth.isfinite(), rays.mask)
    error = (depth - rays.depth)[rays.mask]
    assert error.max() < 0.02  # a hull is not behind its object
    unknown = 0.75 * DISTANCE * 2 * math.tan(math.radians(15)) / SIZE_PX  # between centres a mask does not tell
    assert error.median().abs() < 0.03 + unknown and error.abs().quantile(0.9) < 0.15 + unknown


def test_anchors_are_sought_only_where_the_occupancy_loss_acts(batch):
    asked = []

    def anchor(chosen):
        asked.append(chosen)
        return torch.where(chosen % 2 == 0, batch.depth[chosen], torch.inf)

    params = Params(**(SMALL | {"march_steps": (64,)}))
    decoder, generator = Ball(0.3), torch.Generator().manual_seed(0)
    losses, hits = dvr_losses(decoder, torch.zeros(9, 1, 1), batch, anchor, params, 0, generator)
    (chosen,) = asked
    assert torch.equal(chosen, (batch.mask & ~hits.crossing).nonzero()[:, 0])
    random = torch.rand(len(batch.near), generator=torch.Generator().manual_seed(0))
    near, far, _ = cube_interval(batch.origins, batch.directions, 0.5)
    depth = torch.where(chosen % 2 == 0, batch.depth[chosen], (near + random * (far - near))[chosen])
    radii = at(batch.origins[chosen], batch.directions[chosen], depth).norm(dim=-1)
    assert torch.isclose(losses["occupancy"], softplus(-10 * (decoder.radius - radii)).sum(), rtol=1e-5)


@pytest.mark.parametrize("how", ["random", "visual_hull", "depth"])
def test_a_task_anchors_missed_pixels_as_it_is_told(views, batch, how):
    depth = {"losses": LossWeights(depth=1.0)} if how == "depth" else {"occupancy_point": how}
    found = small_task(views, views, **depth)._anchor(batch, torch.arange(4))(batch.mask.nonzero()[:, 0])
    true = batch.depth[batch.mask]
    if how == "random":
        assert (found == torch.inf).all()
    elif how == "depth":
        assert torch.equal(found, true)
    else:
        assert found.isfinite().all() and (found < true + 0.02).all()


def test_the_images_for_the_encoder_are_resized_as_told(views):
    pretraining = small_task(views, views, input_px=48)
    seen = []
    pretraining.encoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].shape))
    fit(pretraining, 1)
    validated(pretraining)
    assert {shape[1:] for shape in seen} == {(3, 48, 48)}
    assert pretraining.train.inputs.shape[-1] == SIZE_PX


def test_params_refuse_a_schedule_that_does_not_fit():
    assert [Params().march_steps_at(step) for step in (0, 49_999, 50_000, 249_999, 250_000)] == [
        16,
        16,
        32,
        64,
        128,
    ]
    with pytest.raises(ValidationError, match="exactly one more"):
        Params(march_steps=(16, 32), march_schedule=())
    with pytest.raises(ValidationError, match="must rise"):
        Params(march_steps=(16, 32, 64), march_schedule=(20, 10))
    with pytest.raises(ValidationError):
        Params(hidden=0)


def test_steps_are_reproducible_and_the_loss_is_the_weighted_sum(views):
    first, again = (fit(small_task(views, views), 4) for _ in range(2))
    assert first == again
    weights = LossWeights().model_dump()
    for row in first:
        assert row["loss"] == pytest.approx(sum(w * row[name] for name, w in weights.items()), rel=1e-5)
    assert "normal" not in fit(small_task(views, views, losses=LossWeights(normal=0.0)), 1)[0]


def test_validation_is_repeatable_has_baselines_and_leaves_weights_alone(views):
    pretraining = small_task(views, toy(3, 4, seed=2), validation_images=6)
    before = {name: value.clone() for name, value in pretraining.module.state_dict().items()}
    report = validated(pretraining)
    assert report == validated(pretraining)
    assert 0.2 < report["mask_iou"] < 1 and 0 < report["hit_fraction"] < 1  # the initial sphere is a fair guess
    assert report["mask_iou_baseline"] > 0.2 and report["psnr_baseline"] > 5
    assert all(torch.equal(value, before[name]) for name, value in pretraining.module.state_dict().items())
    assert pretraining.collapse(report) is None
    truth, ours = pretraining.reconstructions(5)
    assert truth.shape == ours.shape == (5, SIZE_PX, SIZE_PX, 3) and truth.dtype == ours.dtype == np.uint8
    assert (truth[:, 0, 0] == 255).all() and (ours[:, 0, 0] == 255).all() and (ours < 255).any()


@pytest.mark.parametrize("bias", [-1e3, 1e3])
def test_collapse_is_said(views, bias):
    pretraining = small_task(views, views, validation_images=4)
    with torch.no_grad():
        pretraining.module.decoder.output.bias[0] = bias
    report = validated(pretraining)
    if bias < 0:
        assert "no ray" in pretraining.collapse(report)
        assert report["mask_iou"] == 0
    else:
        assert pretraining.collapse(report | {"hit_fraction": 1.0}) is not None


def test_a_decoder_that_is_the_true_sphere_scores_perfectly():
    sphere = toy(1, 6, seed=3)
    pretraining = small_task(sphere, sphere, validation_march_steps=64, secant_steps=8)
    pretraining.module.decoder = Ball(np.random.default_rng([3, 0]).uniform(0.2, 0.45))
    pretraining.module.condition = lambda images: torch.zeros(len(images), 1, 1)
    report = validated(pretraining)
    assert report["mask_iou"] > 0.99 and report["depth_mae"] < 1e-4


@pytest.mark.slow
def test_dvr_learns_spheres_and_boxes():
    train = toy(24, 12, seed=0)
    unseen = toy(24, 4, seed=0, first_view=12)
    pretraining = small_task(train, unseen, validation_images=48)
    fit(pretraining, 400)
    report = validated(pretraining)
    print(report)
    assert report["mask_iou"] >= 0.70 and report["mask_iou"] > report["mask_iou_baseline"] + 0.05
    assert report["depth_mae"] <= 0.09
    assert report["psnr"] >= 14.5


@pytest.mark.slow
def test_resnet18_hits_from_the_start_with_geometric_initialisation(views):
    params = Params(**SMALL)
    pretraining = make_task(params, Encoder(RESNET18), views, views, 0, "cpu")
    history = fit(pretraining, 50)
    print([round(row["hit_fraction"], 3) for row in history])
    assert history[0]["hit_fraction"] > 0.01 and history[-1]["hit_fraction"] > 0.01
