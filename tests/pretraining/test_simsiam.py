"""SimSiam: its loss by hand, crops and colours, and a collapse that is seen."""

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.architectures import architecture
from robust3d.models.encoder import Encoder
from robust3d.parsing import parse
from robust3d.pretraining import dvr
from robust3d.pretraining.simsiam import Params, make_task
from robust3d.pretraining.simsiam.task import distance, spread
from robust3d.seeds import torch_generator
from robust3d.training.augmentation import crop_grid, cropped, jittered
from robust3d.training.loop import train
from robust3d.training.params import LoopParams

torch.set_num_threads(1)
SMALL = {"width": 32, "hidden": 8, "batch": 24, "validation_images": 36}
VIT = {"name": "vit", "params": {"image_px": 32, "patch_px": 8, "width": 24, "heads": 3, "layers": 2, "mlp_width": 48}}


def make(toy_solids, seed=0, told=VIT, **changes):
    encoder = Encoder(architecture(told), seed=seed)
    params = Params(**(SMALL | changes))
    return make_task(params, encoder, toy_solids.train.subset(6), toy_solids.held_out, seed, "cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_minus_the_cosine_and_only_the_prediction_gets_a_gradient():
    one = torch.tensor([[3.0, 4.0], [1.0, 0.0]], requires_grad=True)
    other = torch.tensor([[4.0, 3.0], [0.0, 2.0]], requires_grad=True)
    loss = distance(one, other)
    assert loss.item() == pytest.approx(-(24 / 25 + 0) / 2)
    loss.backward()
    assert other.grad is None and one.grad.abs().sum() > 0


def test_the_spread_is_one_for_all_directions_and_zero_for_one():
    directions = torch.randn(4000, 64, generator=generator())
    assert float(spread(directions)) == pytest.approx(1, abs=0.02)
    assert float(spread(7 * directions)) == pytest.approx(float(spread(directions)))
    assert spread(torch.ones(50, 64) * torch.arange(1, 51)[:, None]) < 1e-6


def test_both_halves_of_the_pair_are_embedded_and_all_weights_are_trained(toy_solids):
    task = make(toy_solids)
    task.module.train()
    seen: list[int] = []
    task.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    loss, scalars = task.loss(0, torch_generator("step", 0))
    loss.backward()
    assert sum(seen) == task.images_per_step == 48
    assert -1 <= loss.item() <= 1 and scalars["cosine"].item() == pytest.approx(-loss.item())
    without = [name for name, value in task.module.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


def test_a_run_is_recorded_with_its_spread_and_is_repeatable(toy_solids):
    loop = LoopParams(steps=4, learning_rate=0.01, optimiser="sgd", momentum=0.9, validate_every=4)
    states = []
    for _ in range(2):
        task = make(toy_solids, told="resnet18", validation_images=12)
        history = train(task, loop, seed=0)
        states.append(task.module.state_dict())
    found = history.rows[-1]["validation"]
    assert history.collapse is None and found["std"] > 0.1 and 0 <= found["neighbours"] <= 1
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    truth, ours = task.reconstructions(4)
    known = task._validation_views[0][0].movedim(1, -1).numpy()
    assert truth.shape == ours.shape == (4, 32, 32, 3)
    assert all(any(np.array_equal(one, other) for other in known) for one in ours)


@pytest.mark.parametrize(
    ("method", "kept"),
    [
        (Params, {"optimiser": "sgd", "schedule": "cosine", "weight_decay": 5e-4}),
        (dvr.Params, {"decay_steps": (250_000, 333_000), "decay_factor": 0.5}),
    ],
)
def test_a_study_that_gives_some_keys_of_the_loop_keeps_the_methods_others(method, kept):
    loop = parse(method, {"loop": {"steps": 3, "learning_rate": 0.02}}).loop
    assert (loop.steps, loop.learning_rate) == (3, 0.02) and {key: getattr(loop, key) for key in kept} == kept


def test_a_collapse_is_flagged(toy_solids):
    """Without a projection's batch norm and prediction, and with a gradient to both, all embeddings become alike."""
    task = make(toy_solids)
    task.module.projection = nn.Linear(24, 32)
    with torch.no_grad():
        task.module.projection.weight.mul_(1e-3)
        task.module.projection.bias.fill_(1)
    history = train(task, LoopParams(steps=1, learning_rate=1e-6, validate_every=1), seed=0)
    assert "embeddings have collapsed: std " in history.collapse


def test_crops_are_inside_and_flips_are_half():
    ramp = torch.linspace(0, 1, 32).expand(400, 1, 32, 32)
    found = cropped(ramp, crop_grid(ramp, 0.5, True, generator()))
    width = (found[:, 0, 0, -1] - found[:, 0, 0, 0]).abs()
    assert found.min() >= 0 and found.max() <= 1 and width.min() >= 0.45 and width.max() <= 1
    assert 0.4 < (found[:, 0, 0, -1] < found[:, 0, 0, 0]).float().mean() < 0.6
    assert 0.7 < width.mean() < 0.8
    whole = cropped(ramp, crop_grid(ramp, 1.0, False, generator()))
    assert torch.allclose(whole, ramp, atol=1e-5)


def test_colours_change_within_their_limits():
    images = torch.rand(600, 3, 4, 4, generator=generator())
    assert torch.allclose(jittered(images, 0.0, 0.0, generator()), images, atol=1e-6)
    grey = jittered(images, 0.0, 0.25, generator())
    share = (grey[:, 0] == grey[:, 2]).all(2).all(1).float().mean()
    assert 0.2 < share < 0.3
    changed = jittered(images, 0.4, 0.0, generator())
    assert changed.min() >= 0 and changed.max() <= 1
    kept = torch.isclose(changed, images, atol=1e-5).all(3).all(2).all(1).float().mean()
    assert 0.15 < kept < 0.25
