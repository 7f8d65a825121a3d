import numpy as np
import pytest
import torch
from scipy.stats import kstest

from robust3d.models.implicit import cube_interval
from robust3d.models.volume_rendering import around_depth, composite, importance, stratified
from robust3d.seeds import torch_generator

torch.set_num_threads(1)
WHITE = torch.ones(3, dtype=torch.float64)


def sphere_rays(count, radius, distance=2.732):
    """Unit rays from one camera that all meet the sphere, with the closed-form entry and chord length."""
    generator = torch_generator("sphere rays")
    origin = distance * torch.nn.functional.normalize(torch.tensor([0.3, 0.5, 0.8], dtype=torch.float64), dim=0)
    aim = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    aim = aim - (aim @ origin)[:, None] * origin / distance**2  # a disc through the centre, facing the camera
    # A line through a point of the disc passes closer to the centre than that point: every ray hits.
    offset = 0.97 * radius * torch.rand(count, 1, generator=generator, dtype=torch.float64).sqrt()
    aim = torch.nn.functional.normalize(aim, dim=1) * offset
    directions = torch.nn.functional.normalize(aim - origin, dim=1)
    middle = -(directions @ origin)
    half = (radius**2 - (distance**2 - middle**2)).sqrt()
    return origin.expand(count, 3), directions, middle - half, 2 * half


def test_homogeneous_sphere_has_the_closed_forms_opacity_and_depth():
    radius, sigma, samples = 0.35, 2.0, 64
    origins, directions, entry, chord = sphere_rays(8192, radius)
    near, far, _ = cube_interval(origins, directions, 0.5)
    depths = stratified(near, far, samples, torch_generator("stratified"))
    points = origins[:, None] + depths[..., None] * directions[:, None]
    density = sigma * (points.norm(dim=2) < radius).double()
    seen = composite(density, torch.zeros(*depths.shape, 3).double(), depths, far, WHITE)
    true_opacity = 1 - torch.exp(-sigma * chord)
    true_depth = entry + 1 / sigma - chord * torch.exp(-sigma * chord) / true_opacity
    error = seen.opacity - true_opacity
    assert error.abs().mean() <= 0.6 / samples
    assert error.mean().abs() <= 1e-3
    thick = chord > 0.1
    assert (seen.depth / seen.opacity - true_depth)[thick].abs().mean() <= 0.015
    torch.testing.assert_close(seen.colour, (1 - seen.opacity)[:, None].expand(-1, 3))  # black on white


def test_weights_are_those_of_alpha_compositing():
    generator = torch_generator("alpha")
    sigma = torch.rand(50, 12, generator=generator, dtype=torch.float64) * 20
    colour = torch.rand(50, 12, 3, generator=generator, dtype=torch.float64)
    depths = torch.rand(50, 12, generator=generator, dtype=torch.float64).sort(1).values
    far = torch.full((50,), 1.5, dtype=torch.float64)
    background = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    seen = composite(sigma, colour, depths, far, background)
    for ray in range(50):  # front to back, one sample at a time
        passed, pixel, depth = 1.0, torch.zeros(3).double(), 0.0
        ends = [*depths[ray, 1:].tolist(), 1.5]
        for k, end in enumerate(ends):
            alpha = 1 - np.exp(-float(sigma[ray, k]) * (end - float(depths[ray, k])))
            assert float(seen.weights[ray, k]) == pytest.approx(passed * alpha, abs=1e-12)
            pixel, depth = (
                pixel + passed * alpha * colour[ray, k],
                depth + passed * alpha * float(depths[ray, k]),
            )
            passed *= 1 - alpha
        torch.testing.assert_close(seen.colour[ray], pixel + passed * background)
        assert float(seen.depth[ray]) == pytest.approx(depth)
    assert (seen.weights.sum(1) <= 1 + 1e-12).all()


def test_empty_is_exactly_the_background_and_opaque_exactly_opaque():
    depths, far = stratified(torch.zeros(4), torch.ones(4), 16, None), torch.ones(4)
    colour = torch.full((4, 16, 3), 0.25)
    background = torch.tensor([1.0, 0.7, 0.1])
    empty = composite(torch.zeros(4, 16), colour, depths, far, background)
    assert torch.equal(empty.colour, background.expand(4, 3)) and (empty.opacity == 0).all()
    opaque = composite(torch.full((4, 16), 1e4), colour, depths, far, background)
    assert (opaque.opacity == 1).all()
    torch.testing.assert_close(opaque.colour, colour[:, 0])
    torch.testing.assert_close(opaque.depth, depths[:, 0])


def test_samples_of_equal_depth_count_once_in_any_order():
    generator = torch_generator("equal depths")
    depths = torch.rand(20, 8, generator=generator).sort(1).values
    sigma, colour = torch.rand(20, 8, generator=generator) * 9, torch.rand(20, 8, 3, generator=generator)
    far, black = torch.ones(20), torch.zeros(3)
    once = composite(sigma, colour, depths, far, black)
    twice = composite(*(t.repeat_interleave(2, dim=1) for t in (sigma, colour, depths)), far=far, background=black)
    torch.testing.assert_close(once.colour, twice.colour)
    torch.testing.assert_close(once.depth, twice.depth)


def test_stratified_depths_lie_one_in_each_bin():
    near, far = torch.tensor([1.2, 0.0]), torch.tensor([4.0, 0.5])
    for generator in (torch_generator("bins"), None):
        depths = stratified(near, far, 10, generator)
        bins = ((depths - near[:, None]) / (far - near)[:, None] * 10).floor()
        assert torch.equal(bins, torch.arange(10.0).expand(2, 10))
    assert torch.allclose(depths[1], torch.arange(10) * 0.05 + 0.025)


def test_importance_samples_follow_the_coarse_weights():
    weights = torch.tensor([0.0, 0.05, 0.4, 0.0, 0.3, 0.05, 0.2, 0.0], dtype=torch.float64)
    near, far = 1.2, 4.0
    edges, cdf = np.linspace(near, far, 9), np.concatenate([[0], np.cumsum(weights)])
    rays = [weights.expand(40, 8), torch.full((40,), near).double(), torch.full((40,), far).double()]
    depths = importance(*rays, 250, torch_generator("importance"))
    assert depths.min() >= near and depths.max() <= far
    assert kstest(depths.flatten().numpy(), lambda z: np.interp(z, edges, cdf)).pvalue > 0.01
    even = importance(*rays, 250, None)
    assert kstest(even[0].numpy(), lambda z: np.interp(z, edges, cdf)).statistic < 1 / 250
    assert torch.equal(even[0], even[1])


def test_importance_samples_of_an_empty_ray_are_uniform():
    near, far = torch.zeros(100), torch.ones(100)
    depths = importance(torch.zeros(100, 16), near, far, 100, torch_generator("empty ray"))
    assert depths.isfinite().all() and kstest(depths.flatten().numpy(), "uniform").pvalue > 0.01


def test_depth_samples_are_normal_clamped_and_differentiable():
    depth = torch.tensor([2.0, 1.2, 9.0], requires_grad=True)
    near, far = torch.full((3,), 1.2), torch.full((3,), 4.0)
    depths = around_depth(depth, near, far, 4000, torch_generator("guided"))
    assert depths.min() >= 1.2 and depths.max() <= 4.0
    assert kstest(depths[0].detach().numpy(), "norm", (2.0, 0.01)).pvalue > 0.01
    depths.mean(1).sum().backward()
    assert depth.grad[0] == pytest.approx(1) and 0.4 < depth.grad[1] < 0.6 and depth.grad[2] == 0
    even = around_depth(depth.detach(), near, far, 16, None)
    assert even[0].mean() == pytest.approx(2.0) and 0.008 < even[0].std() < 0.011
