"""3D-Prior: planes, rendering in closed form, the losses, what is trained and what is frozen, and that it learns."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from robust3d.architectures import architecture
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import batch_norms
from robust3d.models.encoder import Encoder
from robust3d.models.tokens import Tokens
from robust3d.models.triplane import (
    PLANES,
    FixedCamera,
    TriplaneDecoder,
    grid_waves,
    query_waves,
    sample_each,
    sample_shared,
)
from robust3d.pretraining.prior3d import Params, make_task
from robust3d.pretraining.prior3d.losses import augmented, density, error
from robust3d.pretraining.prior3d.task import depth_range
from robust3d.seeds import torch_generator
from robust3d.study.entries import Pretraining
from robust3d.training.loop import train
from robust3d.training.params import LoopParams
from robust3d.training.transfer import recalibrate

torch.set_num_threads(1)
SMALL = {
    "width": 32,
    "heads": 4,
    "query_px": 4,
    "plane_px": 16,
    "channels": 8,
    "hidden": 16,
    "samples": 8,
    "importance_samples": 8,
    "rays": 64,
    "upscale": 8,
    "batch": 6,
    "validation_images": 12,
}
VIT = {"name": "vit", "params": {"image_px": 32, "patch_px": 8, "width": 24, "heads": 3, "layers": 5, "mlp_width": 48}}
DINOV2 = {"name": "vit_small_patch14_dinov2", "params": {"image_px": 28, "blocks": 1}}
BACKBONES = [("resnet18", {}), ("efficientnet_lite0", {}), (VIT, {}), (DINOV2, {"input_px": 28})]
each_backbone = pytest.mark.parametrize(("told", "more"), BACKBONES, ids=["resnet18", "lite0", "vit", "dinov2"])


def started(solids, told, seed=0):
    """An encoder whose batch norms have statistics, as after a pre-training."""
    encoder = Encoder(architecture(told), seed=seed)
    if batch_norms(encoder):
        recalibrate(encoder, solids.train.inputs[:, :2].flatten(0, 1), 12)
    return encoder


def make(solids, told="resnet18", seed=0, encoder=None, **changes):
    encoder = encoder or started(solids, told, seed)
    return make_task(Params(**(SMALL | changes)), encoder, solids.train, solids.held_out, seed, "cpu")


@pytest.fixture(scope="module")
def solids(toy_solids):
    """Few views: what is checked here does not depend on their number."""
    few = {name: getattr(toy_solids, name) for name in ("train", "held_out")}
    toy_solids = type(toy_solids)(**{name: data.subset(6) for name, data in few.items()})
    return toy_solids


CAMERA = FixedCamera(torch.tensor([[20.0, 0, 5], [0, 20, 4], [0, 0, 1]]), (8, 10), 1.5, 3.5)


def decoder(
    samples=64, importance_samples=0, camera=CAMERA, channels=4, plane_px=8, density_unit="depth", positions="none"
):
    torch.manual_seed(0)
    return TriplaneDecoder(
        (6, 5), camera, (1.0, 1.0, 1.0), class_token="channels", positions=positions, width=8, heads=2, blocks=1,
        self_attention=True, query_px=4, plane_px=plane_px, channels=channels, hidden=8, samples=samples,
        importance_samples=importance_samples, density_unit=density_unit,
    )  # fmt: skip


# Where things are in the image.


@pytest.mark.parametrize("positions", ["none", "sinusoids"])
def test_only_with_positions_do_planes_depend_on_where_a_patch_is(positions):
    made, generator = decoder(positions=positions), torch.Generator().manual_seed(0)
    patches, whole = torch.randn(2, 12, 6, generator=generator), torch.randn(2, 5, generator=generator)
    shuffled = patches[:, torch.randperm(12, generator=generator)]
    planes, others = (made.planes(Tokens(one, whole, (3, 4))) for one in (patches, shuffled))
    assert torch.allclose(planes, others, atol=1e-5) == (positions == "none")


def test_queries_start_at_the_sinusoids_of_the_patches_that_they_lie_on():
    """By hand: columns in the first half, rows in the second; grids of other sizes agree where their centres do."""
    small, large = grid_waves((1, 3), 8), grid_waves((3, 9), 8)
    assert torch.allclose(small[0], large[1, 1::3])
    place = torch.tensor([0.5, 0.5 / 3])  # of column 1 of 3, and of row 0 of 3
    wanted = [wave(math.pi * at * n) / math.sqrt(n) for at in place for wave in (torch.cos, torch.sin) for n in (1, 2)]
    assert torch.allclose(grid_waves((3, 3), 8)[0, 1], torch.stack(wanted), atol=1e-6)
    across, column, row = query_waves(4, 8)
    assert torch.equal(across, grid_waves((4, 4), 8))
    # x runs along the columns of xz, y along those of yz; along z nothing is known of the image
    assert torch.equal(column, column[:1].expand(4, -1, -1)) and torch.equal(column[0, :, :4], across[0, :, :4])
    assert torch.equal(row, row[:1].expand(4, -1, -1)) and torch.equal(row[0, :, 4:], across[:, 0, 4:])
    assert not column[..., 4:].any() and not row[..., :4].any()


# T1, and that both look-ups are the bilinear one.


@pytest.mark.parametrize("sample", [sample_each, lambda planes, points: sample_shared(planes, points[0])])
def test_moving_along_an_axis_changes_exactly_the_two_planes_that_have_it(sample):
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(1, 3, 2, 9, 9, generator=generator)
    points = 0.8 * (2 * torch.rand(1, 50, 3, generator=generator) - 1)
    for axis in range(3):
        moved = points.clone()
        moved[..., axis] += 0.15
        changed = []
        for number in range(3):
            alone = torch.zeros_like(planes)
            alone[:, number] = planes[:, number]
            changed.append(not torch.equal(sample(alone, points), sample(alone, moved)))
        assert changed == [axis in axes for axes in ((0, 1), (0, 2), (1, 2))], axis
    assert PLANES == ((0, 1), (0, 2), (1, 2))


def test_planes_are_read_bilinearly_with_their_first_axis_along_the_columns():
    """Planes that hold their own coordinates give back the points' coordinates, in both look-ups, by hand."""
    side = 16
    centres = (torch.arange(side) + 0.5) * 2 / side - 1
    column, row = centres.expand(side, side), centres[:, None].expand(side, side)
    planes = torch.stack([column, row]).expand(2, 3, 2, side, side).clone()
    planes[1] *= 3
    points = 0.9 * (2 * torch.rand(40, 3, generator=torch.Generator().manual_seed(0)) - 1)
    x, y, z = points.unbind(1)
    wanted = torch.stack([(x + x + y) / 3, (y + z + z) / 3], 1)
    for found in (sample_shared(planes, points), sample_each(planes, points.expand(2, -1, -1))):
        assert torch.allclose(found[0], wanted, atol=1e-6) and torch.allclose(found[1], 3 * wanted, atol=1e-5)
    beyond = torch.tensor([[-1.0, 1.0, 0.99]])
    assert torch.allclose(sample_shared(planes, beyond), sample_each(planes, beyond.expand(2, -1, -1)), atol=1e-6)


def test_both_look_ups_have_the_same_gradient():
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(2, 3, 4, 5, 5, generator=generator, requires_grad=True)
    points, weight = 2.2 * torch.rand(30, 3, generator=generator) - 1.1, torch.randn(2, 30, 4, generator=generator)
    (one,) = torch.autograd.grad((sample_shared(planes, points) * weight).sum(), planes)
    (other,) = torch.autograd.grad((sample_each(planes, points.expand(2, -1, -1)) * weight).sum(), planes)
    assert torch.allclose(one, other, atol=1e-5)


# The camera and the rendering.


def test_the_camera_sees_the_cube_through_pixel_centres():
    depths = torch.tensor([[1.5, 3.5]]).expand(80, 2)
    points = CAMERA.points(torch.arange(80), depths)
    assert points[..., 2].unique().tolist() == [-1, 1] and points.abs().max() <= 1
    corners = points[[0, 9, 70, 79], 1, :2]  # at the far end, half a pixel from the border
    assert torch.allclose(corners, torch.tensor([[-0.9, -7 / 8], [0.9, -7 / 8], [-0.9, 7 / 8], [0.9, 7 / 8]]))
    assert torch.allclose(points[:, 0, :2], points[:, 1, :2] * 1.5 / 3.5)  # a pinhole: nearer is nearer to the axis


@pytest.mark.parametrize("importance_samples", [0, 12])
def test_constant_planes_render_a_constant_image(importance_samples):
    with torch.no_grad():
        planes = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(2, 3, 4, 8, 8)
        found = decoder(16, importance_samples).render(planes, torch.arange(80))
    assert torch.allclose(found.colour, found.colour[:1, :1].expand_as(found.colour), atol=1e-6)
    assert torch.allclose(found.depth, found.depth[:1, :1].expand_as(found.depth), atol=1e-5)
    assert 0.05 < float(found.opacity.mean()) < 1 and float(found.colour.std()) < 1


class Slab(nn.Module):
    """Density `sigma` where the feature is positive, nothing elsewhere; the field's last layer."""

    def __init__(self, sigma):
        super().__init__()
        self.sigma = sigma

    def forward(self, features):
        inside = (features[..., :1] > 0).float()
        raw = torch.tensor(np.log(np.expm1(self.sigma)) + 1, dtype=torch.float32)  # softplus(raw - 1) = sigma
        return torch.cat([torch.zeros(*features.shape[:-1], 3), inside * raw - 60 * (1 - inside)], dim=-1)


def test_densities_are_counted_per_sample_or_per_unit_of_depth():
    """Constant planes of a field of zeros: an optical depth of 1 along a ray of 16 samples, or softplus(-1) times 2."""
    planes = torch.zeros(1, 3, 4, 8, 8)
    for unit, passed in (("sample", np.exp(-1)), ("depth", np.exp(-2 * np.log1p(np.exp(-1))))):
        made = decoder(16, density_unit=unit)
        for layer in made.field[::2]:
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            found = made.render(planes, torch.arange(80))
        # half a segment before the first sample counts as empty
        assert np.allclose(found.opacity, 1 - passed ** (15.5 / 16), atol=1e-5)
        assert np.allclose(found.density, 1 / 16 if unit == "sample" else np.log1p(np.exp(-1)), atol=1e-5)
        assert np.allclose(found.depth, found.opacity * found.surface + (1 - found.opacity) * 3.5, atol=0.01)
    far = FixedCamera(torch.tensor([[20.0, 0, 5], [0, 20, 4], [0, 0, 1]]), (8, 10), 15.0, 35.0)
    with torch.no_grad():  # the units of depth make no difference
        wanted, same = (
            decoder(16, camera=camera, density_unit="sample").render(torch.rand(1, 3, 4, 8, 8), torch.arange(80))
            for camera in (CAMERA, far)
        )
    assert torch.allclose(same.depth, 10 * wanted.depth, rtol=1e-4) and torch.allclose(same.opacity, wanted.opacity)


@pytest.mark.parametrize("sigma", [0.5, 4.0, 60.0])
@pytest.mark.parametrize("importance_samples", [0, 64])
def test_a_slab_of_density_gives_the_closed_form_depth(sigma, importance_samples):
    """The integral of z s exp(-s (z - a)) from a to b, and T far, is a + (1 - T) / s - T b + T far."""
    made = decoder(512, importance_samples, plane_px=64)
    made.field = Slab(sigma)
    # the sum of xz and yz at z is positive between z = -0.25 and 0.25 in the cube: depths 2.25 to 2.75
    z = (torch.arange(64) + 0.5) / 32 - 1
    planes = torch.zeros(1, 3, 4, 64, 64)
    planes[:, 1:, 0] = (0.25 - z.abs())[:, None]
    found = made.render(planes, torch.arange(80))
    a, b, far = 2.25, 2.75, 3.5
    passed = np.exp(-sigma * (b - a))
    wanted = a + (1 - passed) / sigma - passed * b + passed * far
    assert torch.allclose(found.depth, torch.full_like(found.depth, wanted), atol=0.01)
    met = (wanted - passed * far) / (1 - passed)  # of the part that is not far
    assert torch.allclose(found.surface, torch.full_like(found.surface, met), atol=0.01)
    assert torch.allclose(found.opacity, torch.full_like(found.opacity, 1 - passed), atol=0.02)
    assert torch.allclose(found.colour, 0.5 * found.opacity[..., None] + (1 - found.opacity[..., None]), atol=1e-5)


# Losses.


def test_losses_have_the_values_that_are_written_down():
    pred, truth = torch.tensor([[3.0, 0, 4], [0, 0, 0]]), torch.zeros(2, 3)
    assert float(error(pred, truth, "squared")) == pytest.approx(25 / 6)
    assert float(error(pred, truth, "norm")) == pytest.approx(2.5)  # (5 + 0) / 2
    known = torch.tensor([[True, True, False], [True, False, False]])
    assert float(error(pred, truth, "squared", known)) == pytest.approx(3)
    equal = torch.zeros(2, 3, requires_grad=True)
    error(equal, truth, "norm").backward()
    assert torch.equal(equal.grad, torch.zeros(2, 3))
    values = torch.tensor([[[1.0, 2], [3, 6]]])
    assert (float(density(values, "mean", values)), float(density(values, "sum", values))) == (3, 12)
    assert float(density(None, "sum", values)) == 0


def test_the_total_is_the_weighted_sum_with_the_papers_weights(solids):
    task = make(solids)
    torch.nn.init.constant_(task.encoder.trunk.bn1.bias, 0.3)  # away from the teacher
    total, scalars = task.loss(0, torch_generator("step", 0))
    wanted = 0.1 * scalars["rgb"] + scalars["depth"] + scalars["distillation"] + 1e-3 * scalars["density"]
    assert total.item() == pytest.approx(float(wanted), rel=1e-5) and float(scalars["distillation"]) > 0
    more = make(solids, surface_weight=2.0)
    torch.nn.init.constant_(more.encoder.trunk.bn1.bias, 0.3)
    assert more.loss(0, torch_generator("step", 0))[0].item() == pytest.approx(float(wanted + 2 * scalars["surface"]))
    assert (Params().loop.learning_rate, Params().samples, Params().query_px, Params().plane_px) == (1e-4, 16, 16, 128)


@each_backbone
@pytest.mark.parametrize("kind", ["squared", "norm"])
def test_the_distillation_is_exactly_zero_at_first(solids, told, more, kind):
    task = make(solids, told, **more, error=kind, rays=None if kind == "norm" else 16)
    task.module.train()
    assert float(task.loss(0, torch_generator("step", 0))[1]["distillation"]) == 0
    if kind == "norm":
        return
    history = train(task, LoopParams(steps=2, learning_rate=1e-2, validate_every=2), seed=0)
    assert history.rows[-1]["validation"]["distillation"] > 0
    assert history.rows[-1]["training"]["distillation"] > 0


@each_backbone
@pytest.mark.parametrize("kind", ["triplane", "convolutional"])
def test_gradients_reach_every_trained_tensor_and_no_frozen_one(solids, told, more, kind):
    task = make(solids, told, **more, decoder=kind, self_attention=True)
    frozen = copy.deepcopy(task.teacher.state_dict())
    statistics = {name: value.clone() for name, value in task.encoder.named_buffers()}
    optimiser = torch.optim.SGD(task.module.parameters(), 1e-2)
    for step in range(2):  # at first the distance to the start is 0 and gives no gradient
        task.module.train()
        optimiser.zero_grad()
        task.loss(step, torch_generator("step", step))[0].backward()
        optimiser.step()
    without = [name for name, value in task.module.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []
    assert all(value.grad is None and not value.requires_grad for value in task.teacher.parameters())
    assert all(torch.equal(value, frozen[name]) for name, value in task.teacher.state_dict().items())
    assert all(torch.equal(value, statistics[name]) for name, value in task.encoder.named_buffers())
    assert not any(name.startswith("teacher") for name in task.module.state_dict())


def test_every_kind_of_backbone_has_the_same_decoder(solids):
    shapes = []
    for told, more in BACKBONES:
        module = make(solids, told, **more).module.decoder
        found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        shapes.append({name: shape for name, shape in found.items() if not name.startswith("project.")})
    assert all(one == shapes[0] for one in shapes)


def test_the_encoder_learns_at_its_own_rate(solids):
    """Adam's first step moves each weight by the learning rate, whatever the gradient."""
    task = make(solids, encoder_rate=0.1, distillation_weight=0.0)
    before = {name: value.detach().clone() for name, value in task.module.named_parameters()}
    train(task, LoopParams(steps=1, learning_rate=1e-3, validate_every=1), seed=0)
    moved = {name: float((value.detach() - before[name]).abs().max()) for name, value in task.module.named_parameters()}
    assert moved["encoder.trunk.layer4.0.conv1.weight"] == pytest.approx(1e-4, rel=0.02)
    assert moved["decoder.field.0.weight"] == pytest.approx(1e-3, rel=0.02)


def test_statistics_of_a_batch_are_used_from_scratch(solids):
    fresh = Encoder(architecture("resnet18"), seed=1)
    with pytest.raises(UserError, match="batch_norms: frozen, but the encoder has no statistics yet"):
        make(solids, encoder=fresh)
    with pytest.raises(UserError, match="batch_norms: measured, but the encoder has no statistics yet"):
        make(solids, encoder=fresh, batch_norms="measured")
    task = make(solids, encoder=fresh, batch_norms="batch", distillation_weight=0.0)
    task.module.train()
    task.loss(0, torch_generator("step", 0))
    assert float((fresh.trunk.bn1.running_mean).abs().sum()) > 0


def test_statistics_that_lag_behind_are_refused_or_measured(solids):
    """Weights that were smaller at the time of the statistics: features grow from layer to layer."""
    images = solids.train.inputs[:, :2].flatten(0, 1)

    def size(encoder):
        with torch.no_grad():
            return float(encoder.tokens(images / 255).class_token.square().mean().sqrt())

    early = started(solids, "resnet18")
    normal = size(early)
    for layer in early.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data.mul_(3)
    assert size(early) > 1e3 * normal
    with pytest.raises(UserError, match=r"before trunk\.layer4.* the variance is .* Train the start for more steps"):
        make(solids, encoder=copy.deepcopy(early))
    task = make(solids, encoder=early, batch_norms="measured")
    assert 0.5 < size(task.encoder) / normal < 2
    task.module.train()
    assert float(task.loss(0, torch_generator("step", 0))[1]["distillation"]) == 0
    statistics = {name: value.clone() for name, value in task.encoder.named_buffers()}
    train(task, LoopParams(steps=1, learning_rate=1e-2, validate_every=1), seed=0)
    assert all(torch.equal(value, statistics[name]) for name, value in task.encoder.named_buffers())


# Data.


def test_depth_and_images_are_cut_alike(solids):
    """A picture of its own depth still is one after crop and flip; depths keep their values, infinite ones too."""
    row = torch.linspace(1, 2, 64).expand(3, 64, 64)
    depth = torch.where(row > 1.7, torch.inf, row)
    pictures = (row + 0.3 * torch.linspace(0, 1, 64)[:, None])[:, None].expand(3, 3, 64, 64)
    generator = torch.Generator().manual_seed(0)
    flipped = []
    for _ in range(4):
        (cut,), found = augmented([pictures], depth, 0.5, True, generator)
        assert set(found[torch.isfinite(found)].tolist()) <= set(row.flatten().tolist())
        tilt = 0.3 * torch.linspace(0, 1, 64)
        left, right = cut[:, 0, 5, 5] < cut[:, 0, 5, -5], cut[:, 0, -5, 5] > cut[:, 0, 5, 5]
        assert right.all()
        flipped += (~left).tolist()
        inside = torch.isfinite(found)
        gap = (cut[:, 0] - found)[inside]
        assert gap.min() > -0.02 and gap.max() < float(tilt.max()) + 0.02
    assert 0 < sum(flipped) < len(flipped)
    same = augmented([pictures], depth, 1.0, False, generator)
    assert same[0][0] is pictures and same[1] is depth


def test_the_camera_covers_the_depths_that_are_known(solids):
    near, far = depth_range(solids.train)
    known = solids.train.depth[torch.isfinite(solids.train.depth)]
    assert near == pytest.approx(float(known.min() - 0.05 * (known.max() - known.min())))
    assert far == pytest.approx(float(known.max() + 0.05 * (known.max() - known.min())))


def test_unknown_depth_does_not_count(solids):
    task = make(solids, background_depth="ignored")
    depth = torch.tensor([[2.5, torch.inf, torch.nan, 3.0]])
    truth, known = task._target_depth(depth)
    assert known.tolist() == [[True, False, False, True]] and torch.isfinite(truth).all()
    far = make(solids)
    truth, known = far._target_depth(depth)
    assert known.tolist() == [[True, True, False, True]] and float(truth[0, 1]) == pytest.approx(
        far.module.decoder.camera.far
    )


def test_baselines_are_means_of_the_training_views_at_each_pixel(solids):
    task = make(solids)
    image, depth, target = (mean.numpy() for mean in task._means)
    views, far = solids.train, task.module.decoder.camera.far
    every = views.depth.flatten(0, 1).double().numpy()
    row, column = 16, 16
    here = every[:, row, column]
    assert np.isfinite(here).any()
    assert depth[row, column] == pytest.approx(here[np.isfinite(here)].mean(), rel=1e-5)
    assert target[row, column] == pytest.approx(np.where(np.isfinite(here), here, far).mean(), rel=1e-5)
    assert depth[0, 0] == pytest.approx(every[np.isfinite(every)].mean(), rel=1e-5)  # no object is there
    assert target[0, 0] == pytest.approx(far, rel=1e-5)
    assert image[row, column] == pytest.approx(
        views.targets.flatten(0, 1)[:, :, row, column].double().mean(0).numpy() / 255, rel=1e-5
    )


def test_views_without_depth_and_too_few_objects_are_refused(solids):
    blind = replace(solids.train, depth=torch.full_like(solids.train.depth, torch.nan))
    with pytest.raises(UserError, match="3D-Prior learns from depth, and these views have none"):
        make_task(Params(**SMALL), started(solids, "resnet18"), blind, solids.held_out, 0, "cpu")
    with pytest.raises(UserError, match="objects: 7 asked for, and the training set has 6"):
        make(solids, objects=7)
    assert len(make(solids, objects=4).train) == 4


def test_pictures_with_depth_maps_are_views_of_an_assumed_camera(solids):
    """The same steps as on views of their own, where camera, range and background are given."""
    views = solids.train
    depth = torch.nan_to_num(views.depth.flatten(0, 1), posinf=torch.nan)
    pictures = replace(
        ImageData.of(views.inputs.flatten(0, 1), views.class_index.repeat_interleave(views.inputs.shape[1])),
        read_depths=lambda places: depth[torch.as_tensor(places)],
    )
    focal = float(views.intrinsics[0, 0, 0, 0])
    given = {"depth_range": (1.5, 3.5), "background": (1.0, 1.0, 1.0), "background_depth": "ignored"}
    encoder = started(solids, "resnet18")
    losses = []
    for data in (pictures, views):
        params = Params(**SMALL, **given, fov_deg=float(np.rad2deg(2 * np.arctan(16 / focal))))
        task = make_task(params, copy.deepcopy(encoder), data, data, 0, "cpu")
        task.module.train()
        losses.append(task.loss(0, torch_generator("step", 0))[0].item())
        validation = task.module.eval() and task.validate()
        losses.append(validation["depth_mae"])
    assert losses[:2] == pytest.approx(losses[2:], rel=1e-5)
    fewer = make_task(Params(**SMALL, objects=7), copy.deepcopy(encoder), pictures, pictures, 0, "cpu")
    assert len(fewer.train) == 7 and fewer.reconstructions(4)[0].shape == (4, 32, 32, 3)
    camera = fewer.module.decoder.camera
    assert (camera.near, camera.far) == pytest.approx(depth_range(solids.train.subset(1)), rel=0.2)
    with pytest.raises(UserError, match="these pictures have none: give their set a folder of maps"):
        make_task(Params(**SMALL), encoder, replace(pictures, read_depths=None), pictures, 0, "cpu")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"depth_range": (2.0, 2.0)}, r"depth_range: \[2\.0, 2\.0\] is not near and far"),
        ({"plane_px": 24}, "plane_px: 24 is not query_px"),
        ({"heads": 5}, "heads: 5 heads cannot share"),
        ({"upscale": 3}, "upscale: 3 is no power of two"),
        ({"error": "norm"}, "rays: error: norm is of whole images"),
        ({"decoder": "convolutional", "class_token": "token"}, "class_token: the convolutional decoder"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        Params(**(SMALL | changes))


def test_a_random_start_teaches_nothing():
    entry = {"label": "P", "method": "prior3d"}
    with pytest.raises(ValidationError, match="distillation_weight: the entry starts at random"):
        Pretraining(**entry)
    with pytest.raises(ValidationError, match="batch_norms: the entry starts at random"):
        Pretraining(**entry, params={"distillation_weight": 0.0})
    Pretraining(**entry, params={"distillation_weight": 0.0, "batch_norms": "batch"})
    Pretraining(**entry, start="simsiam")
    with pytest.raises(ValidationError, match="architecture: prior3d needs tokens; alexnet has none"):
        Pretraining(**entry, start="simsiam", architecture="alexnet")


# Training.


def test_an_interrupted_run_goes_on_to_the_same_weights(solids, tmp_path):
    loop = LoopParams(steps=4, learning_rate=1e-3, validate_every=4, checkpoint_minutes=0)
    whole = make(solids)
    train(whole, loop, seed=0)
    half = make(solids)
    loss = half.loss

    def stopped(step, generator):
        if step == 2:
            raise InterruptedError
        return loss(step, generator)

    half.loss = stopped
    with pytest.raises(InterruptedError):
        train(half, loop, seed=0, progress=tmp_path)
    again = make(solids)
    train(again, loop, seed=0, progress=tmp_path)
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[name]), name


def test_pictures_show_image_and_depth_in_turn(solids):
    truth, ours = make(solids).reconstructions(5)
    assert truth.shape == ours.shape == (5, 32, 32, 3) and truth.dtype == np.uint8
    assert (truth[1][..., 0] == truth[1][..., 2]).all() and truth[1].std() > 10  # grey: a depth map


@pytest.mark.slow
def test_the_triplane_learns_image_and_depth(toy_solids):
    """C6: 8 x 8 queries to 32 x 32 planes of 16 channels, 16 samples, 400 steps, from a random ResNet-18."""
    params = Params(
        width=64, heads=4, query_px=8, plane_px=32, channels=16, hidden=32, samples=16, importance_samples=0, rays=256,
        batch=16, flip=False, crop=1.0, distillation_weight=0.0, batch_norms="batch", rgb_weight=1.0,
        surface_weight=1.0, loop=LoopParams(steps=400, learning_rate=1e-3, validate_every=400),
    )  # fmt: skip
    encoder = Encoder(architecture("resnet18"), seed=0)
    task = make_task(params, encoder, toy_solids.train, toy_solids.held_out, 0, "cpu")
    found = train(task, params.loop, seed=0).rows[-1]
    assert found["collapse"] is None
    found = found["validation"]
    assert found["psnr"] >= found["psnr_baseline"] + 1
    assert found["depth_mae"] <= 0.25 and found["depth_mae"] < found["depth_mae_baseline"]
    assert found["depth_rmse"] < found["depth_rmse_baseline"]
