import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from robust3d.architectures import architecture
from robust3d.models.encoder import Encoder
from robust3d.models.pixelnerf import ConditionedMlp, PixelNerf, Scene, look_up, positional_encoding
from robust3d.seeds import torch_generator

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)


def camera(centre):
    """World-to-camera (4, 4) of a camera at `centre` that looks at the origin, OpenCV axes, y up."""
    centre = np.asarray(centre, dtype=float)
    forward = -centre / np.linalg.norm(centre)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ centre
    return torch.from_numpy(matrix)


def intrinsics(size_px):
    return torch.tensor(
        [[1.866 * size_px, 0, size_px / 2], [0, 1.866 * size_px, size_px / 2], [0, 0, 1]], dtype=torch.float64
    )


def small(**changes):
    settings = {"width": 16, "blocks": 3, "coarse_samples": 6, "importance_samples": 3, "depth_samples": 3}
    return PixelNerf(Encoder(RESNET18), **(settings | {"activation": "softplus"} | changes))


def encode(module, batch=2, size_px=32):
    images = torch.rand(batch, 3, size_px, size_px, generator=torch_generator("images"))
    cameras = torch.stack([camera([0.5 * k, 1.2, 2.4]) for k in range(batch)]).float()
    return module.encode(images, cameras, intrinsics(size_px).float().expand(batch, 3, 3))


def some_rays(count, spread=0.4):
    generator = torch_generator("rays")
    origins = torch.tensor([2.0, 1.0, -1.5]).expand(count, 3)
    aim = (torch.rand(count, 3, generator=generator) - 0.5) * 2 * spread
    return torch.arange(count) % 2, origins, F.normalize(aim - origins, dim=1)


def test_parameter_counts_are_the_references():
    module = PixelNerf(Encoder(RESNET18))
    assert sum(p.numel() for p in module.coarse.parameters()) == 3_438_596
    assert sum(p.numel() for p in module.parameters()) == 18_053_704


def test_positional_encoding_holds_sines_and_cosines_of_six_octaves():
    points = torch.rand(7, 3, generator=torch_generator("points"), dtype=torch.float64)
    encoded = positional_encoding(points).numpy()
    assert encoded.shape == (7, 39)
    expected = [points.numpy()]
    for wave in (np.sin, np.cos):
        expected += [wave(1.5 * 2**k * points.numpy()) for k in range(6)]
    np.testing.assert_allclose(np.sort(encoded, 1), np.sort(np.concatenate(expected, 1), 1), atol=1e-12)


def test_look_up_agrees_with_grid_sample():
    generator = torch_generator("look-up")
    features = torch.rand(2, 8, 16, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    pixels = torch.rand(300, 2, generator=generator, dtype=torch.float64) * torch.tensor([72, 40]) - 4
    pixels.requires_grad_()
    index = torch.arange(300) % 2
    ours = look_up(features, index, pixels, (32, 64))
    cells = (pixels - 0.5) / 4
    grid = 2 * cells / torch.tensor([15, 7]) - 1
    sampled = F.grid_sample(
        features.movedim(3, 1),
        grid.expand(2, 1, 300, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    theirs = sampled[index, :, 0, torch.arange(300)]
    torch.testing.assert_close(ours, theirs)
    inputs = (features, pixels)
    weight = torch.rand(ours.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((out * weight).sum(), inputs) for out in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_a_pixel_looks_up_the_cell_that_a_strided_convolution_centres_on_it():
    conv = Encoder(RESNET18).trunk.conv1
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, 3, 3] = 1.0  # the middle of the kernel: the map is every second pixel
        image = torch.rand(1, 3, 32, 32, generator=torch_generator("image"))
        features = conv(image).movedim(1, 3)
    rows, columns = torch.meshgrid(torch.arange(0, 32, 2), torch.arange(0, 32, 2), indexing="ij")
    centres = torch.stack([columns + 0.5, rows + 0.5], -1).reshape(-1, 2)
    seen = look_up(features, torch.zeros(256, dtype=torch.long), centres, (32, 32))[:, 0]
    torch.testing.assert_close(seen, image[0, 0, ::2, ::2].flatten())


class Recorder(nn.Module):
    """Stands in for an MLP, keeps what it is asked."""

    def forward(self, points, conditioning):
        self.points, self.conditioning = points, conditioning
        return torch.ones_like(points[:, 0]), torch.ones_like(points[:, :3])


def test_points_are_looked_up_where_they_project_and_given_in_source_camera_axes():
    module = small(importance_samples=0, depth_samples=0).double()
    module.coarse = Recorder()
    row, column = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    maps = torch.stack([column, row, torch.zeros_like(row)], -1).double().expand(2, 16, 16, 3).clone()
    maps[1, ..., 2] = 1  # which object
    cameras = torch.stack([camera([0.3, 1.2, 2.4]), camera([-2.0, 0.8, 1.6])])
    scene = Scene(maps, None, cameras, intrinsics(32).expand(2, 3, 3), (32, 32))
    index, origins, directions = some_rays(40, spread=0.15)
    origins, directions = origins.double(), directions.double()
    module.render(scene, index, origins, directions)
    near, far = module.interval(origins, directions)
    for ray in range(40):
        matrix = cameras[index[ray]].numpy()
        for k in range(6):
            depth = float(near[ray] + (far[ray] - near[ray]) * (k + 0.5) / 6)
            world = origins[ray].numpy() + depth * directions[ray].numpy()
            seen = intrinsics(32).numpy() @ (matrix[:3, :3] @ world + matrix[:3, 3])
            cell = ((seen[:2] / seen[2] - 0.5) / 2).clip(0, 15)  # the border repeats
            asked = 6 * ray + k
            np.testing.assert_allclose(module.coarse.conditioning[asked], [*cell, float(index[ray])], atol=1e-9)
            np.testing.assert_allclose(module.coarse.points[asked, :3], matrix[:3, :3] @ world, atol=1e-9)
            np.testing.assert_allclose(
                module.coarse.points[asked, 39:], matrix[:3, :3] @ directions[ray].numpy(), atol=1e-9
            )


def test_projecting_the_map_equals_projecting_the_samples():
    mlp = ConditionedMlp(20, 8, 3, "relu").double()
    generator = torch_generator("folding")
    features = torch.rand(2, 20, 6, 6, generator=generator, dtype=torch.float64)
    pixels = torch.rand(50, 2, generator=generator, dtype=torch.float64) * 12
    index = torch.arange(50) % 2
    with torch.no_grad():
        folded = look_up(mlp.conditioning(features), index, pixels, (12, 12))
        plain = mlp.latent(look_up(features.movedim(1, 3), index, pixels, (12, 12)))
    torch.testing.assert_close(folded, plain, rtol=0, atol=1e-12)


def test_the_latent_enters_the_first_three_blocks_only():
    mlp = ConditionedMlp(4, 8, 5, "relu")
    for block in mlp.blocks:  # the zero-initialised layers would hide what a block is given
        nn.init.normal_(block.second.weight, generator=torch_generator("blocks"))
    given = []
    for block in mlp.blocks:
        block.register_forward_pre_hook(lambda _, args: given.append(args[0].detach()))
    points = torch.rand(3, 42, generator=torch_generator("in"))
    conditioning = torch.arange(1.0, 4).repeat_interleave(8).expand(3, 24)
    mlp(points, conditioning)
    x = mlp.input(points)
    for number, block in enumerate(mlp.blocks):
        expected = x + (number + 1 if number < 3 else 0)
        torch.testing.assert_close(given[number], expected)
        x = expected + block.second(torch.relu(block.first(torch.relu(expected))))


def test_densities_are_rectified_or_a_shifted_softplus():
    raw = torch.tensor([-8.0, 0.0, 1.0, 9.0])
    for activation, expected in (("relu", raw.clamp_min(0)), ("softplus", (1 + (raw - 1).exp()).log())):
        mlp = ConditionedMlp(4, 8, 3, activation)
        mlp.output.forward = lambda x: torch.stack([raw - 1, raw, raw + 1, raw], dim=1)
        sigma, colour = mlp(torch.zeros(4, 42), torch.zeros(4, 24))
        torch.testing.assert_close(sigma, expected)
        torch.testing.assert_close(colour[:, 1], 1 / (1 + (-raw).exp()))


@pytest.mark.parametrize(("num_layers", "channels"), [(1, 64), (2, 128), (3, 256), (4, 512), (5, 1024)])
def test_only_the_layers_below_the_tap_are_trained(num_layers, channels):
    module = small(num_layers=num_layers)
    assert module.coarse.latent.in_features == channels
    before = {name: value.clone() for name, value in module.encoder.trunk.named_buffers()}
    module.train()
    scene = encode(module)
    rendering = module.render(scene, *some_rays(32), torch_generator("samples"))
    (rendering.coarse.square().mean() + rendering.fine.square().mean()).backward()
    for level, name in enumerate(["bn1", "layer1", "layer2", "layer3", "layer4"]):
        part = getattr(module.encoder.trunk, name)
        touched = level < num_layers
        for weight in part.parameters():
            assert (weight.grad is not None and weight.grad.abs().sum() > 0) == touched
        moved = any(not torch.equal(before[f"{name}.{key}"], value) for key, value in part.named_buffers())
        assert moved == touched


def test_the_pyramid_upsamples_all_maps_to_the_first_and_the_first_pool_is_optional():
    images = torch.rand(1, 3, 64, 64, generator=torch_generator("pool"))
    for keep, sizes in ((True, [32, 16, 8, 4]), (False, [32, 32, 16, 8])):
        module = small(use_first_pool=keep).eval()
        maps = module.encoder.feature_maps(images, 4, keep)
        assert [m.shape[2] for m in maps] == sizes
        pyramid = module.pyramid(images)
        assert pyramid.shape == (1, 512, 32, 32)
        start = 0
        for m in maps:  # corners stay corners
            part = pyramid[:, start : start + m.shape[1]]
            torch.testing.assert_close(part[..., ::31, ::31], m[..., :: m.shape[2] - 1, :: m.shape[3] - 1])
            start += m.shape[1]


def test_rays_that_miss_the_cube_are_background_and_never_sampled():
    module = small(background=(0.1, 0.6, 0.3)).eval()
    index, origins, directions = some_rays(64, spread=1.6)
    meets = torch.zeros(64, dtype=torch.bool)
    for depth in torch.linspace(0, 6, 6001):  # brute force
        meets |= ((origins + depth * directions).abs() < 0.5).all(1)
    assert 5 < meets.sum() < 59
    with torch.no_grad():
        rendering = module.render(encode(module), index, origins, directions)
    assert torch.equal(rendering.meets, meets)
    assert torch.equal(rendering.fine[~meets], module.background.expand(int((~meets).sum()), 3))
    assert (rendering.opacity[~meets] == 0).all() and (rendering.opacity[meets] > 0).all()


def test_a_batch_without_a_hit_renders_and_has_zero_gradients():
    module = small()
    index, origins, directions = some_rays(8)
    rendering = module.render(encode(module), index, origins, -directions, torch_generator("none"))
    rendering.fine.sum().backward()
    assert torch.equal(rendering.fine, torch.ones(8, 3))
    assert all(p.grad is None or (p.grad == 0).all() for p in module.coarse.parameters())


def test_fixed_bounds_hold_for_every_ray():
    module = small(near_far=(1.2, 4.0))
    near, far = module.interval(*some_rays(5)[1:])
    assert (near == 1.2).all() and (far == 4.0).all()


def test_evaluation_needs_no_randomness_and_rays_do_not_mix():
    module = small().eval()
    index, origins, directions = some_rays(50, spread=0.9)
    with torch.no_grad():
        scene = encode(module)
        whole, again = (module.render(scene, index, origins, directions) for _ in range(2))
        order = torch.randperm(50, generator=torch_generator("order"))
        shuffled = module.render(scene, index[order], origins[order], directions[order])
    for name in ("coarse", "fine", "opacity", "depth"):
        assert torch.equal(getattr(whole, name), getattr(again, name))
        torch.testing.assert_close(getattr(whole, name)[order], getattr(shuffled, name))


def test_the_seed_decides_the_weights_and_the_fine_pass_is_optional():
    one, same, other = (small(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["coarse.input.weight"], other["coarse.input.weight"])
    assert not torch.equal(one["coarse.input.weight"], one["fine.input.weight"])
    module = small(importance_samples=0, depth_samples=0)
    assert module.fine is None
    rendering = module.render(encode(module), *some_rays(6))
    assert torch.equal(rendering.coarse, rendering.fine)


def test_a_shared_mlp_renders_what_two_equal_ones_do_with_fewer_evaluations():
    shared, two = small(share_mlp=True), small()
    two.fine.load_state_dict(two.coarse.state_dict())
    evaluated = {shared: [], two: []}
    for module, counts in evaluated.items():
        for mlp in filter(None, (module.coarse, module.fine)):
            mlp.register_forward_hook(lambda _, given, __, counts=counts: counts.append(len(given[0])))
    renderings = [module.render(encode(module), *some_rays(20), torch_generator("depths")) for module in (shared, two)]
    for name in ("coarse", "fine", "opacity", "depth"):
        torch.testing.assert_close(*(getattr(rendering, name) for rendering in renderings))
    hits = int(renderings[0].meets.sum())
    assert hits > 5 and evaluated == {shared: [6 * hits, 6 * hits], two: [6 * hits, 12 * hits]}
    assert not torch.equal(renderings[0].coarse, renderings[0].fine) and shared.fine is None
