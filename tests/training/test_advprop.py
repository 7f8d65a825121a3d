"""AdvProp: two sets of batch norms over shared weights, which never mix."""

import copy

import pytest
import torch
from test_adversarial import CLASSES, RESNET18, make_task, params, toy_images
from torch import nn
from torch.nn import functional

from robust3d import registry
from robust3d.architectures import architecture
from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import batch_norms
from robust3d.models.classifier import Classifier
from robust3d.seeds import torch_generator
from robust3d.training.classification import to_unit
from robust3d.training.loop import train


def statistics(module: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for layer in batch_norms(module) for value in (layer.running_mean, layer.running_var)]


def test_the_twin_shares_all_but_the_batch_norms():
    task = make_task(params("advprop"))
    clean, twin = task.norms.clean, task.norms.auxiliary
    norms = {id(p) for module in (clean, twin) for layer in batch_norms(module) for p in layer.parameters()}
    for (name, ours), (other, theirs) in zip(clean.named_parameters(), twin.named_parameters(), strict=True):
        assert name == other
        assert (ours is theirs) == (id(ours) not in norms), name
    trained = sum(p.numel() for p in task.module.parameters())
    in_norms = sum(p.numel() for layer in batch_norms(clean) for p in layer.parameters())
    assert trained == sum(p.numel() for p in clean.parameters()) + in_norms


def test_without_a_perturbation_the_loss_and_both_statistics_are_those_of_standard_training(monkeypatch):
    task, standard = make_task(params("advprop")), make_task(params("standard"))
    monkeypatch.setattr(task, "attack", lambda images, *rest: images)
    before = statistics(task.norms.clean)
    task.module.train(), standard.module.train()
    losses = [one.loss(0, torch_generator(0))[0] for one in (task, standard)]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-6)
    ours, twins, theirs = (statistics(one) for one in (task.norms.clean, task.norms.auxiliary, standard.module))
    for start, one, two, three in zip(before, ours, twins, theirs, strict=True):
        assert not torch.equal(start, one)
        torch.testing.assert_close(one, two, rtol=0, atol=0)
        torch.testing.assert_close(one, three, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(loss, one.classifier.network.conv1.weight)[0]
                 for loss, one in zip(losses, (task, standard))]  # fmt: skip
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


def test_each_set_sees_its_own_images_only():
    """Every batch norm's statistics after a step are those of a plain network that saw these images alone."""
    task = make_task(params("advprop"))
    expected = {}
    images, labels = task.clean_batch(0, torch_generator(0))
    attacked = task.attack(images, labels, torch_generator(0), task.norms.auxiliary)
    assert (attacked - images).abs().max() == pytest.approx(0.1, abs=1e-5)
    for name, seen in (("clean", images), ("auxiliary", attacked)):
        plain = copy.deepcopy(getattr(task.norms, name)).train()
        plain(seen)
        expected[name] = statistics(plain)
    task.module.train()
    task.loss(0, torch_generator(0))
    for name, values in expected.items():
        for ours, wanted in zip(statistics(getattr(task.norms, name)), values, strict=True):
            torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)
    assert any(not torch.allclose(a, b) for a, b in zip(*(statistics(m) for m in task.norms.children()), strict=True))


def test_the_attack_goes_against_the_auxiliary_norms():
    task = make_task(params("advprop"))
    for layer in batch_norms(task.norms.auxiliary):
        nn.init.constant_(layer.weight, 0.3)
    images, labels = task.clean_batch(0, torch_generator(0))
    attacked = task.attack(images, labels, torch_generator(0), task.norms.auxiliary)
    other = task.attack(images, labels, torch_generator(0))
    twin = task.norms.auxiliary.eval()
    loss = [float(functional.cross_entropy(twin(x).detach(), labels)) for x in (images, other, attacked)]
    assert loss[0] < loss[2] and loss[1] < loss[2]
    seen: list[torch.Tensor] = []
    task.norms.auxiliary.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    task.loss(0, torch_generator(0))
    torch.testing.assert_close(seen[-1], attacked)


def test_training_ends_with_a_classifier_that_has_one_set(tmp_path):
    settings = params("advprop", epochs=2)
    task = make_task(settings, count=96)
    history = train(task, settings.loop(96), 0, tmp_path)
    validation = history.rows[-1]["validation"]
    assert {"accuracy", "pgd_accuracy", "auxiliary_accuracy", "auxiliary_pgd_accuracy"} <= validation.keys()
    plain = Classifier(RESNET18, CLASSES)
    plain.network.load_state_dict(task.classifier.network.state_dict())
    plain.eval(), task.module.eval()
    held_out = to_unit(toy_images(6, 1)[0])
    with torch.no_grad():
        torch.testing.assert_close(plain(held_out), task.module(held_out), rtol=1e-4, atol=1e-4)
    again = make_task(settings, count=96)
    assert train(again, settings.loop(96), 0, tmp_path).rows == history.rows  # read from the checkpoint
    for one, two in zip(task.module.state_dict().values(), again.module.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_a_network_without_batch_norms_is_refused():
    settings = params("advprop")
    sets = (ImageData.of(*toy_images(*part)) for part in ((6, 0), (6, 1)))
    alexnet = Classifier(architecture({"name": "alexnet", "params": {}}), CLASSES)
    with pytest.raises(UserError, match="advprop keeps two sets of batch norms, but alexnet has none"):
        registry.load("training", "advprop").make_task(alexnet, *sets, settings)
