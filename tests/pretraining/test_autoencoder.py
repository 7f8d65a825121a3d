import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.architectures import architecture
from robust3d.errors import UserError
from robust3d.models.encoder import Encoder
from robust3d.pretraining import ae, vae
from robust3d.seeds import torch_generator
from robust3d.training.loop import train
from robust3d.training.params import LoopParams

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)
METHODS = {"ae": ae, "vae": vae}


def make(toy_solids, method="ae", **changes):
    module = METHODS[method]
    params = module.Params(**({"batch": 4, "validation_images": 30} | changes))
    return module.make_task(params, Encoder(RESNET18), toy_solids.train, toy_solids.held_out, 0, "cpu")


class Echo(nn.Module):
    """A perfect autoencoder: gives back what it should decode."""

    def __init__(self, decode):
        super().__init__()
        self.decode = decode

    def forward(self, images):
        return self.decode(images)


@pytest.mark.parametrize("target", ["normalised", "unit"])
def test_a_perfect_reconstruction_has_no_loss_and_no_error(toy_solids, target):
    pretraining = make(toy_solids, target=target)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    decode = {
        "normalised": lambda x: (x - mean[:, None, None]) / std[:, None, None],
        "unit": lambda x: x,
    }[target]
    pretraining.module = Echo(decode)
    total, metrics = pretraining.loss(0, torch_generator("step"))
    assert total.item() < 1e-10 and metrics["mse"].item() == total.item()
    assert pretraining.validate()["mse"] < 1e-10
    assert pretraining.validate()["spread"] == pytest.approx(1)
    truth, ours = pretraining.reconstructions(4)
    assert truth.shape == (4, 32, 32, 3) and truth.dtype == np.uint8
    np.testing.assert_array_equal(truth, ours)


@pytest.mark.parametrize("method", ["ae", "vae"])
def test_inputs_go_in_and_targets_are_asked_back(toy_solids, method):
    black = toy_solids.train.targets * toy_solids.train.masks[:, :, None]
    pretraining = METHODS[method].make_task(
        METHODS[method].Params(batch=64, target="unit"),
        Encoder(RESNET18),
        replace(toy_solids.train, inputs=black),
        toy_solids.held_out,
        0,
        "cpu",
    )
    inputs, targets = pretraining.draw(torch_generator("draw"))
    background = (targets == 1).all(1)
    assert background.any() and (inputs.movedim(1, -1)[background] == 0).all()
    torch.testing.assert_close(inputs.movedim(1, -1)[~background], targets.movedim(1, -1)[~background])
    assert pretraining.images_per_step == 64 == len(inputs)


def test_the_vaes_loss_adds_the_weighted_divergence(toy_solids):
    for coefficient in (0.0, 0.1, 2.0):
        pretraining = make(toy_solids, "vae", kl_coefficient=coefficient)
        pretraining.module.train()
        total, metrics = pretraining.loss(0, torch_generator("step"))
        assert float(metrics["kl"]) > 0
        assert total.item() == pytest.approx(float(metrics["mse"] + coefficient * metrics["kl"]), rel=1e-5)


@pytest.mark.parametrize("method", ["ae", "vae"])
def test_a_steps_loss_depends_on_its_generator_only(toy_solids, method):
    pretraining = make(toy_solids, method)
    pretraining.module.train()
    first, same, other = (pretraining.loss(3, torch_generator("step", k))[0].item() for k in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize("method", ["ae", "vae"])
def test_validation_has_the_training_mean_image_beside_it_and_repeats(toy_solids, method):
    pretraining = make(toy_solids, method, validation_images=10_000)
    pretraining.module.eval()
    with torch.no_grad():
        metrics = pretraining.validate()
        assert metrics == pretraining.validate()
    mean = toy_solids.train.targets.numpy().mean((0, 1)) / 255
    truth = toy_solids.held_out.targets.numpy() / 255
    assert metrics["mse_baseline"] == pytest.approx(((truth - mean) ** 2).mean(), rel=1e-4)
    assert pretraining.score(metrics) == -metrics["mse"]


def test_collapse_is_said(toy_solids):
    pretraining = make(toy_solids, "ae", target="unit")
    pretraining.module = Echo(lambda x: torch.full_like(x, 0.9))
    assert "one image" in pretraining.collapse(pretraining.validate())
    pretraining.module = Echo(lambda x: x)
    assert pretraining.collapse(pretraining.validate()) is None
    variational = make(toy_solids, "vae")
    assert "prior" in variational.collapse({"kl": 0.001, "spread": 0.5})
    assert "one image" in variational.collapse({"kl": 0.1, "spread": 0.001})
    assert variational.collapse({"kl": 0.1, "spread": 0.5}) is None


def test_sizes_the_decoder_cannot_make_are_refused(toy_solids):
    views = toy_solids.draw(3, 2, 48, seed=4)
    with pytest.raises(UserError, match="multiple of 32"):
        ae.make_task(ae.Params(), Encoder(RESNET18), views, views, 0, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "steps", "bar"), [("ae", 150, 0.8), ("vae", 200, 0.75)])
def test_it_learns_to_reconstruct_objects_it_has_not_seen(toy_solids, method, steps, bar):
    loop = LoopParams(steps=steps, learning_rate=1e-3, validate_every=steps)
    pretraining = make(toy_solids, method, batch=32, validation_images=72, loop=loop)
    history = train(pretraining, loop, seed=0)
    result = history.rows[-1]["validation"]
    assert result["mse"] <= bar * result["mse_baseline"]
    assert history.collapse is None
    if method == "vae":
        assert math.isfinite(result["kl"]) and result["kl"] >= 0.01
