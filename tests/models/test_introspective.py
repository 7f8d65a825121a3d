import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from robust3d.models.introspective.convolution import FEW, Convolution, convolve
from robust3d.models.introspective.network import IntrospectiveNetwork, VoxelClassifier, gradient_penalty
from robust3d.models.introspective.params import NetworkParams, SynthesisParams
from robust3d.models.introspective.synthesis import frozen_weights, step_size, synthesise

SMALL = {"resolution": 16, "width": 0.125}


def network(classes=3, seed=0, **changes):
    return IntrospectiveNetwork(NetworkParams(**SMALL | changes), classes, seed)


def test_the_network_is_that_of_table_1():
    whole = IntrospectiveNetwork(NetworkParams(), 1)
    assert sum(layer.weight.numel() for layer in whole.convolutions) == 1_175_472  # hand-computed from Table 1
    shapes = []
    for layer in whole.convolutions:
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        features = whole.features(torch.zeros(2, 1, 32, 32, 32))
    assert shapes == [(16, 32, 32, 32), (32, 32, 32, 32), (64, 16, 16, 16), (128, 8, 8, 8), (256, 4, 4, 4)]
    assert features.shape == (2, 256 * 2**3) and whole.head.weight.shape == (1, 2048)


def test_another_width_and_resolution():
    params = NetworkParams(**SMALL)
    assert params.channels == (2, 4, 8, 16, 32) and params.features == 32
    with pytest.raises(ValueError, match="multiple of 16"):
        NetworkParams(resolution=40)


@pytest.mark.parametrize("kind", ["volume", "channels"])
def test_layer_norm_axes(kind):
    maps = torch.randn(2, 4, 3, 3, 3) * 5 + 2
    normed = network(layer_norm=kind).norms[1](maps)
    axes = (1, 2, 3, 4) if kind == "volume" else (1,)
    torch.testing.assert_close(normed.mean(axes), torch.zeros_like(normed.mean(axes)), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(axes, unbiased=False), torch.ones_like(normed.mean(axes)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("critic", ["class_logit", "output", "linear"])
def test_the_score_is_the_one_of_its_key(critic):
    model, volumes, labels = network(critic=critic), torch.rand(4, 1, 16, 16, 16), torch.tensor([0, 2, 1, 2])
    score, logits = model.score(volumes, labels)
    features = model.features(volumes)
    if critic == "class_logit":
        expected = torch.stack([model(volumes)[row, label] for row, label in enumerate(labels)])
    else:
        expected = (features if critic == "output" else model(volumes)) @ model.critic.weight[0] + model.critic.bias
    torch.testing.assert_close(score, expected)
    torch.testing.assert_close(logits, model(volumes))


def test_a_classifier_subtracts_its_mean_and_takes_both_layouts():
    model, volumes = network(), torch.rand(3, 1, 16, 16, 16)
    classifier = VoxelClassifier(model, torch.tensor(0.25))
    torch.testing.assert_close(classifier(volumes), model(volumes - 0.25))
    torch.testing.assert_close(classifier(volumes[:, 0]), model(volumes - 0.25))
    torch.testing.assert_close(classifier(volumes[:1]), classifier(volumes)[:1])  # whatever the batch


def test_gradient_penalty_of_a_linear_critic_in_closed_form():
    weights = torch.randn(1, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    real, fake = torch.rand(2, 5, 1, 4, 4, 4, dtype=torch.float64)
    penalty = gradient_penalty(
        lambda x: (x * weights).flatten(1).sum(1), real, fake, torch.rand(5, dtype=torch.float64)
    )
    length = weights.detach().norm()
    assert float(penalty.detach()) == pytest.approx(float((length - 1) ** 2), rel=1e-12)
    penalty.backward()  # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    torch.testing.assert_close(weights.grad, 2 * (length - 1) * weights.detach() / length)


def test_gradient_penalty_is_taken_between_the_pairs():
    """Of f = |x|^2 / 2 the gradient is x itself, so the penalty shows where it was taken."""
    real, fake, share = torch.full((3, 1, 2, 2, 2), 3.0), torch.full((3, 1, 2, 2, 2), -1.0), torch.tensor([1.0, 0, 0.5])
    penalty = gradient_penalty(lambda x: x.square().flatten(1).sum(1) / 2, real, fake, share)
    expected = [(abs(value) * 8**0.5 - 1) ** 2 for value in (3.0, -1.0, 1.0)]
    assert float(penalty.detach()) == pytest.approx(sum(expected) / 3, rel=1e-6)


def test_gradient_penalty_of_a_network_against_finite_differences():
    model = network(classes=1).double()
    real, fake = torch.rand(2, 2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share, weight = torch.tensor([0.3, 0.6], dtype=torch.float64), model.convolutions[0].weight

    def penalty():
        return gradient_penalty(lambda x: model.score(x)[0], real, fake, share)

    (gradient,) = torch.autograd.grad(penalty(), weight)
    for place in ((0, 0, 0, 1, 2), (1, 0, 2, 0, 0)):
        values = []
        for change in (1e-8, -1e-8):  # a larger one takes some of the many units over the kink of the leaky ReLU
            with torch.no_grad():
                weight[place] += change
            values.append(float(penalty().detach()))
            with torch.no_grad():
                weight[place] -= change
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-8, rel=1e-4, abs=1e-9)


def total(x):
    return x.flatten(1).sum(1), None


def test_synthesis_stops_by_its_threshold():
    """Adam without momentum moves every voxel by the learning rate, so the score of a sum is known after each step."""
    params = SynthesisParams(learning_rate=0.1, beta1=0.0, beta2=0.9, clip=None, max_steps=50)
    found = synthesise(total, torch.zeros(2, 1, 2, 2, 2), params, threshold=8 * 0.35)
    assert found.steps == 4 and found.reached  # 0.1 a step and voxel: 0.4 is the first at or above 0.35
    torch.testing.assert_close(found.scores, torch.full((2,), 3.2))
    torch.testing.assert_close(found.volumes, torch.full((2, 1, 2, 2, 2), 0.4))


def test_synthesis_stops_by_its_cap():
    params = SynthesisParams(learning_rate=0.1, beta1=0.0, beta2=0.9, clip=None, max_steps=3)
    found = synthesise(total, torch.zeros(2, 1, 2, 2, 2), params, threshold=100.0)
    assert found.steps == 3 and not found.reached
    torch.testing.assert_close(found.scores, torch.full((2,), 2.4))  # of the volumes that are returned


def test_a_batch_above_the_threshold_stays_as_it_is():
    start = torch.rand(2, 1, 2, 2, 2)
    found = synthesise(total, start, SynthesisParams(), threshold=-1.0)
    assert found.steps == 0 and found.reached and torch.equal(found.volumes, start)


def test_matching_stops_from_above_too():
    params = SynthesisParams(
        learning_rate=0.1, beta1=0.0, beta2=0.9, clip=None, objective="match", tolerance=0.01, max_steps=50
    )
    found = synthesise(total, torch.ones(1, 1, 2, 2, 2), params, threshold=8 * 0.5)
    assert found.reached and found.steps == 5
    torch.testing.assert_close(found.volumes, torch.full((1, 1, 2, 2, 2), 0.5))


def test_values_stay_in_the_clip_and_steps_in_the_bound():
    def steep(x):  # its gradient crosses zero at 0.5, where Adam with a second beta of 0 has no bound
        return -(x - 0.5).square().flatten(1).sum(1), None

    start = torch.tensor([0.49, 0.2]).reshape(1, 1, 1, 1, 2)
    free = SynthesisParams(max_steps=10, clip=(0.0, 1.0))
    found = synthesise(steep, start, free, threshold=1.0).volumes
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    bound = SynthesisParams(max_steps=1, step_bound=0.002, clip=None)
    moved = synthesise(steep, start, bound, threshold=1.0).volumes - start
    assert float(moved.abs().max()) == pytest.approx(0.002, rel=1e-4)


def test_langevin_noise_has_the_stated_variance():
    """With a flat score only noise moves: after T steps its variance is the sum of the annealed step sizes."""
    params = SynthesisParams(sampler="langevin", step_size=0.04, final_step_size=0.01, max_steps=3, clip=None)
    flat = synthesise(
        lambda x: ((x * 0).flatten(1).sum(1), None),
        torch.zeros(64, 1, 16, 16, 16),
        params,
        1.0,
        torch.Generator().manual_seed(0),
    )
    sizes = [step_size(params, step) for step in range(3)]
    assert sizes == pytest.approx([0.04, 0.02, 0.01])
    assert float(flat.volumes.var()) == pytest.approx(0.07, rel=0.01)  # 262,144 voxels: its standard error is 0.3 %
    drift = synthesise(
        lambda x: ((x * 2).flatten(1).sum(1), None),
        torch.zeros(64, 1, 16, 16, 16),
        params,
        1e9,
        torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(drift.volumes - flat.volumes, torch.full_like(flat.volumes, 0.07))  # epsilon / 2 * 2


def literal_loop(model, start, params, labels, steps):
    """Synthesis as it is usually written: torch's convolutions and optimiser, backward through everything."""
    model = copy.deepcopy(model)
    for number, ours in enumerate(model.convolutions):
        model.convolutions[number] = nn.Conv3d(ours.in_channels, ours.out_channels, 3, padding=1).double()
        model.convolutions[number].load_state_dict(ours.state_dict())
    x = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], params.learning_rate, betas=(params.beta1, params.beta2))
    for _ in range(steps):
        optimiser.zero_grad()
        (-model.score(x, labels)[0].sum()).backward()
        optimiser.step()
        with torch.no_grad():
            x.clamp_(*params.clip)
    assert all(weight.grad is not None for weight in model.convolutions.parameters())
    return x.detach()


@pytest.mark.parametrize(("beta1", "beta2"), [(0.8, 0.0), (0.0, 0.9), (0.9, 0.999)])
def test_synthesis_equals_a_literal_loop(beta1, beta2):
    model, labels = network().double(), torch.tensor([0, 1, 2])
    start = torch.randn(3, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    params = SynthesisParams(beta1=beta1, beta2=beta2, max_steps=20)
    with frozen_weights(model):
        ours = synthesise(lambda x: (model.score(x, labels)[0], None), start, params, threshold=1e9)
    assert ours.steps == 20 and all(weight.grad is None for weight in model.parameters())
    theirs = literal_loop(model, start, params, labels, 20)
    torch.testing.assert_close(ours.volumes, theirs, rtol=0, atol=1e-10 if beta2 else 1e-6)
    if not beta2:  # m / |g| multiplies rounding where g crosses zero: all but a few voxels agree as closely
        apart = (ours.volumes - theirs).abs()
        assert float((apart > 1e-10).double().mean()) < 1e-3


def test_synthesis_computes_no_weight_gradients():
    """The convolutions' backward kernels are asked for the gradient of their input alone."""
    from torch.utils._python_dispatch import TorchDispatchMode

    masks = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if "convolution_backward" in str(function):
                masks.append(tuple(args[-1]))
            return function(*args, **kwargs or {})

    model = network(classes=1)
    with frozen_weights(model), Watch():
        synthesise(lambda x: (model.score(x)[0], None), torch.rand(2, 1, 16, 16, 16), SynthesisParams(max_steps=1), 1e9)
    assert masks and set(masks) == {(True, False, False)}
    assert all(weight.requires_grad for weight in model.parameters())


def test_what_is_ascended_beside_the_score_counts():
    model, labels = network(critic="linear"), torch.tensor([0, 1, 2, 0])
    start = torch.rand(4, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))

    def score(x):
        value, logits = model.score(x)
        return 0 * value, -functional.cross_entropy(logits, labels, reduction="none")

    with frozen_weights(model):
        found = synthesise(score, start, SynthesisParams(learning_rate=0.02, beta1=0.9, beta2=0.9, max_steps=20), 1e9)
        before, after = (functional.cross_entropy(model(x), labels) for x in (start, found.volumes))
    assert float(after) < float(before)


def test_parameters_that_cannot_be_meant():
    for wrong in ({"clip": (1.0, 0.0)}, {"step_size": 0.01, "final_step_size": 0.1}, {"beta1": 1.0}):
        with pytest.raises(ValueError):
            SynthesisParams(**wrong)


def test_seeds_give_different_weights():
    first, again, other = (network(seed=seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 2), (3, 4), (2, FEW)])
def test_a_convolution_and_its_gradients_are_torchs(inputs, outputs):
    """Value, gradients, and gradients of gradients, as the penalty needs them."""
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(2, inputs, 3, 4, 5, generator=draw, dtype=torch.float64, requires_grad=True)
    ours = Convolution(inputs, outputs).double()
    usual = nn.Conv3d(inputs, outputs, 3, padding=1).double()
    usual.load_state_dict(ours.state_dict())
    found = []
    for layer in (ours, usual):
        value = layer(maps)
        (first,) = torch.autograd.grad(value.sin().sum(), maps, create_graph=True)
        second = torch.autograd.grad((first.square().sum((1, 2, 3, 4)) - 1).square().sum(), [maps, *layer.parameters()])
        third = torch.autograd.grad(layer(maps).sin().sum(), [maps, *layer.parameters()])
        found.append([value, first, *second, *third])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    small = maps.detach()[:1, :, :2, :2, :2].requires_grad_()
    assert torch.autograd.gradgradcheck(convolve, (small, ours.weight, ours.bias))
