import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.data.volumes import VoxelData
from robust3d.errors import UserError
from robust3d.generation.diversity import Diversity, collapse, diversity
from robust3d.models.volume_generators import VolumeEncoder, VolumeGenerator, channels, sample
from robust3d.training.loop import train
from robust3d.training.volume_generators.params import GanParams, VaeParams, parse_generator
from robust3d.training.volume_generators.tasks import VALIDATION_SAMPLES, make_task

torch.set_num_threads(1)
R = 8
SMALL = {"resolution": R, "width": 0.0625, "latent": 6, "batch": 6, "steps": 8, "validations": 2, "samples": 5}
KINDS = {"vae": VaeParams, "gan": GanParams}


def params(method, **changes):
    return KINDS[method](**SMALL | changes)


def shapes(count, seed=0, split="train"):
    """Boxes of several sizes in several places."""
    draw = np.random.default_rng(seed)
    volumes = np.zeros((count, R, R, R), bool)
    for volume in volumes:
        low, high = draw.integers(0, 3, 3), draw.integers(5, 9, 3)
        volume[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = True
    return VoxelData.of(volumes, np.zeros(count, int), ("box",), split)


def task_of(method, count=20, **changes):
    return make_task(shapes(count), shapes(5, 1, "val"), params(method, **changes))


def weights(task):
    return {name: value.numpy().tobytes() for name, value in task.module.state_dict().items()}


@pytest.mark.parametrize(("resolution", "expected"), [(64, [512, 256, 128, 64]), (32, [256, 128, 64]), (8, [64])])
def test_the_networks_are_those_of_wu(resolution, expected):
    assert channels(resolution, 1.0) == expected
    generator, mirror = VolumeGenerator(resolution, 1 / 64, 10), VolumeEncoder(resolution, 1 / 64, 3)
    made = generator(torch.rand(2, 10)).detach()
    assert made.shape == (2, 1, resolution, resolution, resolution)
    assert 0 < float(made.min()) < float(made.max()) < 1
    assert mirror(made).shape == (2, 3)
    of_size_4 = [layer.kernel_size for layer in generator.modules() if isinstance(layer, nn.ConvTranspose3d)]
    assert of_size_4 == [(4, 4, 4)] * (len(expected) + 1)
    norms = [module.num_features for module in generator.modules() if isinstance(module, nn.BatchNorm3d)]
    assert norms == [max(1, count // 64) for count in expected]


def test_the_divergence_is_that_of_two_normals():
    task = task_of("vae", kl=2.0)
    loss, scalars = task.loss(0, torch.Generator().manual_seed(1))
    mean, log_variance = task.module.posterior(task.real_batch(0))
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(scalars["divergence"], expected.detach())
    assert loss.item() == pytest.approx((scalars["reconstruction"] + 2 * expected).item(), rel=1e-5)


def test_the_reconstruction_is_a_likelihood_of_each_voxel():
    task = task_of("vae")
    _, scalars = task.loss(3, torch.Generator().manual_seed(1))
    volumes = task.real_batch(3)
    mean, log_variance = task.module.posterior(volumes)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
    chances = task.module.generator(mean + log_variance.exp().sqrt() * noise)
    by_hand = -torch.where(volumes > 0, chances, 1 - chances).log().sum((1, 2, 3, 4)).mean()
    assert scalars["reconstruction"].item() == pytest.approx(by_hand.item(), rel=1e-4)


def test_a_vae_that_sees_one_shape_reproduces_it():
    one = shapes(1).chosen(np.zeros(12, int))
    task = make_task(one, one, params("vae", steps=150, learning_rate=0.01, width=0.125))
    history = train(task, task.params.loop, 0)
    with torch.no_grad():
        task.calibrate(task.module)
        mean, _ = task.module.posterior(one.volumes([0]).float())
        again = sample(task.module.generator, mean, 0.5)
    assert (again == one.volumes([0])[0].bool()).all()
    assert history.selected["validation"]["reconstruction"] < 5  # nats, of 512 voxels
    assert history.selected["validation"]["training_distance"] == 0


class Fixed(nn.Module):
    """A discriminator that is right on a known share of real and made volumes."""

    def __init__(self, real, made):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.scores = torch.tensor([*real, *made])[:, None]

    def forward(self, volumes):
        return self.weight * self.scores + 0 * volumes.mean()


def test_the_discriminator_learns_unless_it_was_right_on_over_80_percent():
    """By hand: 5 of 6 and 4 of 6 right are 75 %, 6 of 6 and 4 of 6 are 83.3 %, 5 of 5 and 3 of 5 exactly 80 %."""
    cases = [
        ([1.0] * 5 + [-1.0], [-1.0] * 4 + [1.0] * 2, 0.75, True),
        ([1.0] * 6, [-1.0] * 4 + [1.0] * 2, 5 / 6, False),
        ([1.0] * 5, [-1.0] * 3 + [1.0] * 2, 0.8, True),
    ]
    for real, made, accuracy, learns in cases:
        task = task_of("gan", batch=len(real))
        task.module.discriminator = Fixed(real, made)
        _, scalars = task.loss(0, torch.Generator().manual_seed(0))
        assert float(scalars["discriminator_learns"]) == 1.0  # nothing is known before the first batch
        assert float(scalars["discriminator_accuracy"]) == pytest.approx(accuracy)
        loss, scalars = task.loss(1, torch.Generator().manual_seed(1))
        assert bool(scalars["discriminator_learns"]) == learns
        loss.backward()
        assert (task.module.discriminator.weight.grad is not None) == learns
        assert all(weight.grad is not None for weight in task.module.generator.parameters())


def test_a_discriminator_that_wins_is_not_changed_by_the_loop():
    usual, held = task_of("gan"), task_of("gan", discriminator_accuracy=0.0)
    for task in (usual, held):
        task.module.accuracy.fill_(1.0 if task is held else 0.0)
        before = [weight.clone() for weight in task.module.discriminator.parameters()]
        train(task, replace_steps(task.params, 1), 0)
        same = [bool((old == new).all()) for old, new in zip(before, task.module.discriminator.parameters())]
        assert all(same) if task is held else not any(same)


def replace_steps(settings, steps):
    return settings.model_copy(update={"steps": steps}).loop


def test_both_networks_have_their_learning_rates():
    """The first step of Adam changes every weight by its learning rate."""
    task = task_of("gan", learning_rate=0.01, discriminator_learning_rate=0.0005)
    before = {name: weight.detach().clone() for name, weight in task.module.named_parameters()}
    train(task, replace_steps(task.params, 1), 0)
    for part, rate in (("generator", 0.01), ("discriminator", 0.0005)):
        changes = [
            (weight.detach() - before[name]).abs().median()
            for name, weight in task.module.named_parameters()
            if name.startswith(part) and weight.ndim > 1
        ]
        torch.testing.assert_close(torch.stack(changes), torch.full((len(changes),), rate), rtol=0.02, atol=0)


@pytest.mark.parametrize("saturating", [True, False])
@pytest.mark.parametrize("batches", ["together", "apart"])
def test_the_losses_of_the_gan_by_hand(saturating, batches):
    loss = "saturating" if saturating else "non_saturating"
    task = task_of("gan", generator_loss=loss, discriminator_batches=batches)
    _, scalars = task.loss(0, torch.Generator().manual_seed(0))
    latents = task.latents(6, torch.Generator().manual_seed(0))
    assert float(latents.min()) >= 0 and float(latents.max()) <= 1
    parts = task.real_batch(0), task.module.generator(latents)
    seen = [torch.cat(parts)] if batches == "together" else parts
    chances = torch.cat([task.module.discriminator(batch)[:, 0].sigmoid() for batch in seen]).split(6)
    theirs = -chances[0].log().mean() - (1 - chances[1]).log().mean()
    ours = (1 - chances[1]).log().mean() if saturating else -chances[1].log().mean()
    assert float(scalars["discriminator_loss"]) == pytest.approx(theirs.item(), rel=1e-5)
    assert float(scalars["generator_loss"]) == pytest.approx(ours.item(), rel=1e-5)


@pytest.mark.parametrize("method", KINDS)
def test_stopped_and_resumed_equals_uninterrupted(method, tmp_path):
    whole = task_of(method)
    history = train(whole, whole.params.loop, 0)
    stopped, usual = task_of(method), None
    usual = stopped.loss

    def disturbed(step, generator):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return usual(step, generator)

    stopped.loss = disturbed
    with pytest.raises(SystemExit):
        train(stopped, stopped.params.loop, 0, tmp_path)
    resumed = task_of(method)
    assert train(resumed, resumed.params.loop, 0, tmp_path) == history
    assert weights(resumed) == weights(whole)
    assert (resumed.samples(9) == whole.samples(9)).all()


@pytest.mark.parametrize("method", KINDS)
def test_a_sample_depends_on_the_seed_and_its_number_alone(method):
    task = task_of(method)
    train(task, task.params.loop, 0)
    many = task.samples(70)
    assert (task.samples(70) == many).all() and (task.samples(11) == many[:11]).all()
    latents = torch.rand(10, SMALL["latent"])
    whole = sample(task.module.generator, latents, 0.5)
    assert whole.dtype == torch.bool and whole.any() and not whole.all()
    for batch in (1, 3, 10):
        assert (sample(task.module.generator, latents, 0.5, batch) == whole).all()
    task.calibrate(task.module)
    assert (task.samples(70, task.module) == many).all()  # what is saved makes the same
    other = make_task(task.volumes, task.held_out, params(method, seed=1))
    assert (other.samples(5) != task.samples(5)).any()


def test_diversity_against_all_pairs():
    draw = np.random.default_rng(0)
    volumes = draw.random((9, 3, 4, 5)) < 0.3
    volumes[5] = volumes[2]
    found, rows = diversity(volumes), volumes.reshape(9, -1)
    pairs = [(rows[i] != rows[j]).mean() for i in range(9) for j in range(i)]
    assert found.distance == pytest.approx(np.mean(pairs)) and found.identical == pytest.approx(1 / 9)
    assert found.filled == pytest.approx(volumes.mean())
    assert diversity(volumes[:1]) == Diversity(0.0, 0.0, float(volumes[0].mean()))


def test_a_collapsed_generator_is_one_message():
    usual = Diversity(identical=0.0, distance=0.2, filled=0.1)
    assert collapse(usual, usual) is None
    assert "60% of the samples repeat" in collapse(replace(usual, identical=0.6), usual)
    assert "5.0% of that of training" in collapse(replace(usual, distance=0.01), usual)
    assert "0.0% of the voxels" in collapse(replace(usual, filled=0.0), usual)
    one = Diversity(identical=0.9, distance=0.0, filled=0.1)
    assert collapse(one, one) is None  # of one shape


def test_a_generator_that_collapses_in_training_says_so():
    """All of its voxels get the same value."""
    task = task_of("gan")
    for weight in task.module.generator.parameters():
        nn.init.zeros_(weight)
    nn.init.constant_(task.module.generator.layers[-1].bias, -1.0)
    task.module.eval()
    with torch.no_grad():
        validation = task.validate()
    assert "0.0% of the voxels of the samples are filled" in task.collapse(validation)
    assert validation["identical"] == 1 - 1 / VALIDATION_SAMPLES and validation["training_distance"] > 0.05


def test_bad_data_and_parameters_are_one_message():
    good, held_out = shapes(9), shapes(3, 1, "val")
    with pytest.raises(UserError, match="resolution: 16, but the volumes have 8"):
        make_task(good, held_out, params("vae", resolution=16))
    with pytest.raises(UserError, match="0 volumes to train on"):
        make_task(good.chosen(np.zeros(0, int)), held_out, params("gan"))
    wrong = [
        ({"method": "flow"}, r"g\.x\.method: 'flow' is none of vae, gan"),
        ({"method": "vae", "resolution": 24}, r"g\.x\.resolution.*power of two, not 24"),
        ({"method": "vae", "discriminator_accuracy": 0.5}, r"g\.x\.discriminator_accuracy"),
        ({"method": "gan", "batch": 1}, r"g\.x\.batch"),
    ]
    for values, message in wrong:
        with pytest.raises(ValueError, match=message):
            parse_generator(values, "g.x")
    assert parse_generator({"method": "gan"}) == GanParams()


def test_batch_norms_get_the_statistics_of_the_final_weights():
    """As over one large batch, whatever they were before; then a volume has the same value alone as in its batch."""
    task = task_of("gan", calibration_batches=200)
    train(task, task.params.loop, 0)
    for norm in (module for module in task.module.modules() if isinstance(module, nn.BatchNorm3d)):
        norm.running_mean.fill_(3.0)
    task.calibrate(task.module)
    latents = task.latents(1200, torch.Generator().manual_seed(5))
    first, second = task.module.generator.layers[:2]
    with torch.no_grad():
        maps = first(latents[:, :, None, None, None])
        alone = task.module.generator(latents)
        together = task.module.generator.train()(latents)
    torch.testing.assert_close(second.running_mean, maps.mean((0, 2, 3, 4)), rtol=0, atol=0.05 * float(maps.std()))
    torch.testing.assert_close(second.running_var, maps.var((0, 2, 3, 4)), rtol=0.2, atol=0)
    assert (alone - together).abs().mean() < 0.03


def test_a_discriminator_sees_faint_volumes_only_beside_real_ones():
    """A tenth of every voxel's value: its batch norms undo that where the batch has nothing else."""
    scores = {}
    for batches in ("together", "apart"):
        task = task_of("gan", discriminator_batches=batches)
        real = task.real_batch(0)
        with torch.no_grad():
            scores[batches] = [task._scores(real, factor * real)[1] for factor in (1.0, 0.1)]
    torch.testing.assert_close(*scores["apart"], rtol=0, atol=0.05)
    assert (scores["together"][0] - scores["together"][1]).abs().mean() > 0.1
