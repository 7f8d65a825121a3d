"""DVR's geometry against closed forms, its gradient against finite differences and a literal backward."""

import math

import numpy as np
import pytest
import torch
from look import look_from
from torch import Tensor

from robust3d.models.dvr import DVR, Decoder
from robust3d.models.encoder import seeded_initialisation
from robust3d.models.implicit import (
    at,
    cube_interval,
    first_hit,
    implicit_depth,
    normals,
    pixel_rays,
)

torch.set_num_threads(1)


def camera(azimuth_deg: float, elevation_deg: float = 30.0, distance: float = 2.732) -> Tensor:
    """World-to-camera (4, 4) that looks at the origin, OpenCV axes."""
    a, e = math.radians(azimuth_deg), math.radians(elevation_deg)
    eye = distance * np.array([math.cos(e) * math.sin(a), math.sin(e), math.cos(e) * math.cos(a)])
    return torch.from_numpy(look_from(eye))


def intrinsics(size_px: int) -> Tensor:
    focal = (2 + math.sqrt(3)) * size_px / 2
    return torch.tensor([[focal, 0, size_px / 2], [0, focal, size_px / 2], [0, 0, 1]], dtype=torch.float64)


def rays(size_px: int, azimuths: tuple[float, ...] = (0.0, 70.0, 200.0), dtype=torch.float64):
    """All rays of a few views that meet the padded cube: origins, directions, near, far."""
    pixels = torch.arange(size_px**2).expand(len(azimuths), -1)
    views = torch.stack([camera(a) for a in azimuths])
    origins, directions = pixel_rays(views, intrinsics(size_px).expand(len(azimuths), 3, 3), pixels, size_px)
    origins, directions = origins.flatten(0, 1), directions.flatten(0, 1)
    near, far, meets = cube_interval(origins, directions, 0.55)
    return tuple(t[meets].to(dtype) for t in (origins, directions, near, far))


def sphere_depth(origins: Tensor, directions: Tensor, centre: Tensor, radius: float) -> Tensor:
    """Closed-form entry depth into a sphere, inf for a miss."""
    o = origins - centre
    a, b, c = (directions**2).sum(-1), (o * directions).sum(-1), (o**2).sum(-1) - radius**2
    disc = b * b - a * c
    return torch.where(disc > 0, (-b - disc.clamp(min=0).sqrt()) / a, torch.inf)


def box_depth(origins: Tensor, directions: Tensor, centre: Tensor, half: Tensor) -> Tensor:
    """Entry depth into a box by clipping against its six planes one after the other, inf for a miss."""
    low = torch.full(origins.shape[:1], -torch.inf, dtype=origins.dtype)
    high = -low
    for axis in range(3):
        for sign in (-1.0, 1.0):
            offset = sign * (centre[axis] + sign * half[axis] - origins[:, axis])
            speed = sign * directions[:, axis]
            bound = offset / speed
            low = torch.where(speed < 0, torch.maximum(low, bound), low)
            high = torch.where(speed > 0, torch.minimum(high, bound), high)
    return torch.where(low < high, low, torch.inf)


def ball(points: Tensor, centre: Tensor, radius: float) -> Tensor:
    return radius - (points - centre.to(points)).norm(dim=-1)


CENTRE = torch.tensor([0.12, -0.08, 0.05], dtype=torch.float64)
HALF = torch.tensor([0.2, 0.3, 0.15], dtype=torch.float64)
FRONT, BACK = torch.tensor([0.0, 0.1, 0.25]).double(), torch.tensor([0.05, -0.05, -0.2]).double()


def box_field(points: Tensor, rows: Tensor) -> Tensor:
    q = (points - CENTRE.to(points)).abs() - HALF.to(points)
    return -(q.clamp(min=0).norm(dim=-1) + q.amax(-1).clamp(max=0))


SCENES = {
    "sphere": (lambda p, r: 7 * ball(p, CENTRE, 0.35), lambda o, d: sphere_depth(o, d, CENTRE, 0.35)),
    "box": (box_field, lambda o, d: box_depth(o, d, CENTRE, HALF)),
    "occlusion": (
        lambda p, r: torch.maximum(ball(p, FRONT, 0.2), ball(p, BACK, 0.3)),
        lambda o, d: torch.minimum(sphere_depth(o, d, FRONT, 0.2), sphere_depth(o, d, BACK, 0.3)),
    ),
}


def test_pixel_rays_pass_through_pixel_centres_and_advance_depth_by_one():
    size, pixels = 5, torch.arange(25)[None]
    view, k = camera(40.0)[None], intrinsics(5)[None]
    origins, directions = pixel_rays(view, k, pixels, size)
    points = at(origins, directions, torch.linspace(1, 3, 25, dtype=torch.float64)[None])[0]
    in_camera = points @ view[0, :3, :3].T + view[0, :3, 3]
    assert torch.allclose(in_camera[:, 2], torch.linspace(1, 3, 25, dtype=torch.float64), atol=1e-12)
    projected = in_camera @ k[0].T
    uv = projected[:, :2] / projected[:, 2:]
    expected = torch.tensor([[j + 0.5, i + 0.5] for i in range(5) for j in range(5)], dtype=torch.float64)
    assert (uv - expected).abs().max() < 1e-10


@pytest.mark.parametrize(("half", "fraction"), [(0.5, 0.761), (0.55, 0.873)])
def test_cube_interval_agrees_with_brute_force_and_the_nmr_hit_fraction(half, fraction):
    size, azimuths = 32, (0.0, 15.0, 30.0, 45.0, 60.0, 75.0)
    pixels = torch.arange(size**2).expand(len(azimuths), -1)
    views = torch.stack([camera(a) for a in azimuths])
    origins, directions = pixel_rays(views, intrinsics(size).expand(6, 3, 3), pixels, size)
    origins, directions = origins.flatten(0, 1), directions.flatten(0, 1)
    near, far, meets = cube_interval(origins, directions, half)
    assert abs(meets.double().mean().item() - fraction) < 0.005
    depths = torch.linspace(1.5, 4, 1251, dtype=torch.float64)
    inside = (at(origins[:, None], directions[:, None], depths.expand(len(near), -1)).abs() <= half).all(-1)
    long = (far - near) > 0.004
    assert (inside.any(1) >= (meets & long)).all() and (inside.any(1) <= meets).all()
    first = depths[inside.int().argmax(1)]
    assert ((first - near)[meets & long].abs() < 0.0021).all()


def reference_depth(field, origins, directions, near, far, steps: int) -> np.ndarray:
    """First free-to-occupied crossing in float64 numpy, ray by ray: scan for the sign change, then bisect."""

    def value(ray: int, depth: float) -> float:
        return float(field((origins[ray] + depth * directions[ray])[None, None], torch.tensor([ray])))

    samples = near.numpy() + np.linspace(0, 1, steps)[:, None] * (far - near).numpy()
    points = origins + torch.from_numpy(samples)[..., None] * directions
    values = field(points.transpose(0, 1), torch.arange(len(near))).numpy()
    depths = np.full(len(near), np.inf)
    for ray, row in enumerate(values):
        for k in range(1, steps):
            if row[k - 1] < 0 <= row[k]:
                low, high = samples[k - 1, ray], samples[k, ray]
                for _ in range(45):
                    middle = (low + high) / 2
                    low, high = (middle, high) if value(ray, middle) < 0 else (low, middle)
                depths[ray] = (low + high) / 2
                break
    return depths


@pytest.mark.parametrize("name", SCENES)
def test_march_and_secant_agree_with_a_float64_scan_and_bisection(name):
    field = SCENES[name][0]
    beams = rays(24)
    truth = reference_depth(field, *beams, 64)
    hits = first_hit(field, *(t.float() for t in beams), march_steps=64)
    assert (hits.crossing.numpy() == np.isfinite(truth)).mean() >= 0.999
    both = hits.crossing.numpy() & np.isfinite(truth)
    error = np.abs(hits.depth.numpy()[both] - truth[both])
    assert np.median(error) <= 1e-6 and np.quantile(error, 0.99) <= 1e-5


@pytest.mark.parametrize("name", SCENES)
def test_first_hit_is_the_first_surface_in_closed_form(name):
    field, closed_form = SCENES[name]
    origins, directions, near, far = rays(128, dtype=torch.float32)
    hits = first_hit(field, origins, directions, near, far, march_steps=64)
    truth = closed_form(origins.double(), directions.double())
    # An edge seen sideways is crossed within one step by some rays, which the march may miss.
    assert (hits.crossing == truth.isfinite()).double().mean() >= 0.997
    assert not hits.inside.any()
    both = hits.crossing & truth.isfinite()
    error = (hits.depth.double() - truth)[both].abs()
    assert error.median() <= 1e-6 and error.quantile(0.99) <= 1e-5
    assert (hits.depth[~hits.crossing] == torch.inf).all()


def test_chunks_do_not_change_hits():
    origins, directions, near, far = rays(24)
    whole, parts = (
        first_hit(SCENES["box"][0], origins, directions, near, far, march_steps=16, chunk_points=n)
        for n in (10**6, 100)
    )
    assert torch.equal(whole.depth, parts.depth)


def test_ray_that_starts_inside_is_flagged_and_is_no_surface():
    directions = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    origins = torch.zeros(2, 3)
    near, far, meets = cube_interval(origins, directions, 0.55)
    assert meets.all() and (near == 0).all() and torch.allclose(far, torch.tensor(0.55))
    hits = first_hit(lambda p, r: 0.3 - p.norm(dim=-1), origins, directions, near, far, march_steps=16)
    assert hits.inside.all() and not hits.crossing.any() and (hits.depth == near).all()


def test_empty_space_gives_no_hit_and_an_empty_differentiable_depth():
    origins, directions, near, far = rays(8)
    scale = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    field = lambda p, r: scale * (1 + p.square().sum(-1))  # noqa: E731
    hits = first_hit(field, origins, directions, near, far, march_steps=8)
    assert not hits.crossing.any() and (hits.depth == torch.inf).all()
    none = hits.crossing.nonzero()[:, 0]
    implicit_depth(field, origins[none], directions[none], none, hits.depth[none]).sum().backward()
    assert scale.grad == 0


def perturbed_decoder(width: int = 24) -> tuple[Decoder, Tensor]:
    """A decoder whose surface is a dented sphere, every parameter in play, and the codes of two objects."""
    with seeded_initialisation(3):
        decoder = Decoder(width, code_size=8)
        decoder.start_as_sphere(0.3)
        with torch.no_grad():
            for parameter in decoder.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape))
        code = torch.randn(2, 8).double().requires_grad_()
    return decoder.double(), code


def solve(decoder: Decoder, code: Tensor, owner: Tensor, beams: tuple[Tensor, ...]):
    field = decoder.field(decoder.condition(code), owner)
    return field, first_hit(field, *beams, march_steps=64, secant_steps=200)


def implicit_case():
    decoder, code = perturbed_decoder()
    beams = rays(12, (0.0, 120.0))
    owner = torch.arange(len(beams[0])) % 2
    field, hits = solve(decoder, code, owner, beams)
    chosen = hits.crossing.nonzero()[:, 0]
    assert len(chosen) > 20
    weights = torch.randn(len(chosen), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    depth = implicit_depth(field, beams[0][chosen], beams[1][chosen], chosen, hits.depth[chosen])
    assert torch.equal(depth.detach(), hits.depth[chosen])
    variables = [code, *decoder.parameters()]
    gradients = torch.autograd.grad((weights * depth).sum(), variables, allow_unused=True)
    gradients = [torch.zeros_like(v) if g is None else g for v, g in zip(variables, gradients, strict=True)]
    return decoder, code, owner, beams, chosen, weights, variables, gradients, hits


@pytest.mark.parametrize("what", ["code", "parameters"])
def test_implicit_gradient_matches_central_differences_of_the_solved_depth(what):
    decoder, code, owner, beams, chosen, weights, variables, gradients, _ = implicit_case()
    picked = slice(0, 1) if what == "code" else slice(1, None)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        ways = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in variables[picked]]
        values = []
        for sign in (1, -2, 1):  # +eps, -eps, back
            with torch.no_grad():
                for v, way in zip(variables[picked], ways, strict=True):
                    v.add_(sign * 1e-6 * way)
                values.append((weights * solve(decoder, code, owner, beams)[1].depth[chosen]).sum())
        numeric = (values[0] - values[1]) / 2e-6
        analytic = sum((g * way).sum() for g, way in zip(gradients[picked], ways, strict=True))
        assert abs(analytic - numeric) / abs(numeric) <= 1e-5


class LiteralDepth(torch.autograd.Function):
    """DVR's backward as its paper writes it: -(df/dtheta) / (grad_p f . w), by separate autograd passes."""

    @staticmethod
    def forward(ctx, depth, origins, directions, rows, decoder, code, owner, *parameters):
        ctx.save_for_backward(depth, origins, directions, rows, code, owner, *parameters)
        ctx.decoder = decoder
        return depth.clone()

    @staticmethod
    def backward(ctx, upstream):
        depth, origins, directions, rows, code, owner, *parameters = ctx.saved_tensors
        with torch.enable_grad():
            points = (origins + depth[:, None] * directions).detach().requires_grad_()
            condition = ctx.decoder.condition(code)[owner[rows]]
            logits = ctx.decoder(points[:, None], condition)[:, 0, 0]
            (spatial,) = torch.autograd.grad(logits.sum(), points, retain_graph=True)
            slope = (spatial * directions).sum(-1)
            slope = torch.where(slope.abs() < 1e-3, 1e-3, slope)
            inputs = [code, *parameters]
            gradients = torch.autograd.grad(logits, inputs, -upstream / slope, allow_unused=True)
        return None, None, None, None, None, gradients[0], None, *gradients[1:]


def test_implicit_gradient_equals_the_literal_backward_pass():
    decoder, code, owner, beams, chosen, weights, variables, gradients, hits = implicit_case()
    depth = LiteralDepth.apply(
        hits.depth[chosen], beams[0][chosen], beams[1][chosen], chosen, decoder, code, owner, *variables[1:]
    )
    literal = torch.autograd.grad((weights * depth).sum(), variables, allow_unused=True)
    for ours, theirs in zip(gradients, literal, strict=True):
        theirs = torch.zeros_like(ours) if theirs is None else theirs
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_normals_of_sphere_and_box_are_outward_and_right():
    generator = torch.Generator().manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=-1)
    rows = torch.arange(500)
    points = (0.35 * direction + CENTRE.float())[:, None]
    ours = normals(SCENES["sphere"][0], points, rows)[:, 0]
    angle = (ours * direction).sum(-1).clamp(-1, 1).acos().rad2deg()
    assert angle.median() <= 0.5
    flat = (torch.rand(500, 3, generator=generator) - 0.5) * 1.8 * HALF.float()
    flat[:, 0] = HALF[0]
    ours = normals(box_field, (flat + CENTRE.float())[:, None], rows)[:, 0]
    assert torch.allclose(ours, torch.tensor([1.0, 0, 0]).expand(500, 3), atol=2e-3)


def literal_normals(gradient: Tensor, points: Tensor, step: float) -> Tensor:
    """The reference's formula, term by term: differences over `step`, divided by their norm, but by 1e-5 at least."""
    field = lambda p: p @ gradient  # noqa: E731
    axes = torch.eye(3, dtype=points.dtype)
    differences = torch.stack([field(points + axis * step / 2) - field(points - axis * step / 2) for axis in axes], -1)
    return -differences / differences.norm(dim=-1, keepdim=True).clamp(min=1e-5)


@pytest.mark.parametrize("step", [1e-3, 1e-2])
@pytest.mark.parametrize("size", [1e-5, 1e-4, 1e-3, 9e-3, 1.1e-2, 1e-1])
def test_normals_of_flat_fields_are_as_short_as_the_references(size, step):
    generator = torch.Generator().manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(3, generator=generator, dtype=torch.float64), dim=0)
    points = torch.rand((5, 2, 3), generator=generator, dtype=torch.float64) - 0.5
    scale = torch.tensor(size, dtype=torch.float64, requires_grad=True)
    ours = normals(lambda p, r: p @ (scale * direction), points, torch.arange(5), step)
    assert torch.allclose(ours, literal_normals(size * direction, points, step), rtol=1e-9, atol=1e-15)
    assert torch.allclose(ours.norm(dim=-1), torch.tensor(min(1.0, size * step / 1e-5)).double(), rtol=1e-6)
    (slope,) = torch.autograd.grad((ours * -direction).sum(-1).mean(), scale)  # grows with the gradient, until it is 1
    assert slope.item() == pytest.approx(step / 1e-5 if size * step < 1e-5 else 0, abs=1e-6)


def test_rounding_noise_has_no_full_strength_normals():
    """A field of float32 that is flat but for its last digits."""
    points = torch.rand((200, 1, 3), generator=torch.Generator().manual_seed(0)) - 0.5
    ours = normals(lambda p, r: 1 + 1e-5 * p.sum(-1), points, torch.arange(200))
    assert ours.isfinite().all() and (ours.norm(dim=-1) < 0.05).all()


class Watching(torch.nn.Module):
    """An encoder that keeps what it is shown."""

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        return images.mean((2, 3))


@pytest.mark.parametrize(("size_px", "input_px"), [(32, 64), (32, 224), (64, 32), (32, 32), (32, None)])
def test_the_encoder_sees_images_of_the_size_asked_for(size_px, input_px):
    encoder = Watching()
    model = DVR(encoder, 3, Decoder(8, code_size=4), code_size=4, input_px=input_px)
    column = (torch.arange(size_px) + 0.5) / size_px
    images = torch.stack(
        [torch.full((size_px, size_px), 0.25), column.expand(size_px, -1), column[:, None].expand(-1, size_px)]
    )
    condition = model.condition(images[None])
    assert condition.shape == (1, 5, 8)
    side = input_px or size_px
    assert encoder.seen.shape == (1, 3, side, side)
    if side == size_px:
        assert torch.equal(encoder.seen, images[None])
    inner = slice(side // 8, -side // 8)  # a ramp stays a ramp, but for what rims cut off
    ramp = (torch.arange(side) + 0.5) / side
    assert torch.allclose(encoder.seen[0, 0], torch.tensor(0.25))
    assert torch.allclose(encoder.seen[0, 1, :, inner], ramp[inner].expand(side, -1), atol=1e-5)
    assert torch.allclose(encoder.seen[0, 2, inner], ramp[inner, None].expand(-1, side), atol=1e-5)


def test_a_smaller_image_is_smoothed_before_it_is_sampled():
    """Halving weighs four neighbours by 1, 3, 3 and 1 eighths on each axis."""
    encoder = Watching()
    model = DVR(encoder, 3, Decoder(8, code_size=4), code_size=4, input_px=8)
    images = torch.zeros(1, 3, 16, 16)
    images[..., 6, 6] = 1  # the first of the middle two of output 3, the last but one of output 2
    model.condition(images)
    weights = torch.zeros(8)
    weights[2], weights[3] = 1 / 8, 3 / 8
    assert torch.allclose(encoder.seen[0, 0], weights[:, None] * weights, atol=1e-6)


def test_geometry_stays_float32_under_autocast():
    decoder, code = perturbed_decoder()
    decoder, code = decoder.float(), code.detach().float()
    beams = rays(12, (0.0,), dtype=torch.float32)
    owner = torch.zeros(len(beams[0]), dtype=torch.long)
    plain = solve(decoder, code, owner, beams)
    with torch.autocast("cpu", torch.bfloat16):
        field, hits = solve(decoder, code.bfloat16(), owner, beams)
        half_code = code.bfloat16().float()
        chosen = hits.crossing.nonzero()[:, 0]
        points = at(beams[0][chosen], beams[1][chosen], hits.depth[chosen])[:, None]
        inside = normals(field, points, chosen)
    exact, expected = solve(decoder, half_code, owner, beams)
    assert torch.equal(hits.depth, expected.depth) and hits.depth.dtype == torch.float32
    assert torch.equal(inside, normals(exact, points, chosen))
    assert plain[1].crossing.any()
    with pytest.raises(TypeError, match="float32"):
        normals(lambda p, r: p.bfloat16().sum(-1), points, chosen)


@pytest.mark.parametrize(("width", "count"), [(128, 330_628), (512, 3_288_580)])
def test_decoder_has_the_reference_number_of_parameters(width, count):
    decoder = Decoder(width)
    assert sum(p.numel() for p in decoder.parameters()) == count
    assert all((block.second.weight == 0).all() for block in decoder.blocks)


def test_condition_is_added_before_each_block():
    with seeded_initialisation(0):
        decoder = Decoder(16, code_size=4)
        points, code = torch.randn(3, 5, 3), torch.randn(3, 4)
        for block in decoder.blocks:
            torch.nn.init.normal_(block.second.weight, std=0.1)
    x = points @ decoder.point.weight.T + decoder.point.bias
    for layer, block in zip(decoder.conditioning, decoder.blocks, strict=True):
        x = x + (code @ layer.weight.T + layer.bias)[:, None]
        hidden = x.clamp(min=0) @ block.first.weight.T + block.first.bias
        x = x + hidden.clamp(min=0) @ block.second.weight.T + block.second.bias
    expected = x.clamp(min=0) @ decoder.output.weight.T + decoder.output.bias
    assert torch.allclose(decoder(points, decoder.condition(code)), expected, atol=1e-6)


@pytest.mark.parametrize("width", [64, 128, 512])
def test_geometric_initialisation_is_a_sphere_for_any_code(width):
    with seeded_initialisation(width):
        decoder = Decoder(width)
        decoder.start_as_sphere(0.3)
        code = 0.5 * torch.randn(4, 256)
    origins, directions, near, far = rays(16, dtype=torch.float32)
    owner = torch.arange(len(near)) % 4
    truth = sphere_depth(origins, directions, torch.zeros(3), 0.3).isfinite()
    found = first_hit(decoder.field(decoder.condition(code), owner), origins, directions, near, far, march_steps=32)
    assert not found.inside.any()
    union = (found.crossing | truth).sum()
    assert (found.crossing & truth).sum() / union > 0.6
