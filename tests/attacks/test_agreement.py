"""A copy whose gradients are not the model's is found and not used, however alike its logits are."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.architectures import architecture
from robust3d.attacks import autoattack, twins
from robust3d.attacks.agreement import IN_BF16, agree
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.folding import Folded
from robust3d.attacks.params import AutoAttackParams
from robust3d.attacks.twins import InBf16, coarse_twins, twins_of
from robust3d.attacks.victim import frozen
from robust3d.models.classifier import Classifier

RESNET18 = architecture("resnet18")

QUICK = AutoAttackParams(epsilons=(0.03, 0.05, 0.07), iterations=10, square_queries=20, target_classes=2)


class Backward(torch.autograd.Function):
    """The identity with a backward pass of another function."""

    @staticmethod
    def forward(ctx, x, function):
        ctx.function = function
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.function(gradient), None


class Altered(nn.Module):
    def __init__(self, function, module=None):
        super().__init__()
        self.function, self.module = function, module or nn.Identity()

    def forward(self, x):
        return self.module(Backward.apply(x, self.function))


def one_column_dropped(gradient):
    return torch.cat([torch.zeros_like(gradient[..., :1]), gradient[..., 1:]], 3)


def bright_pixels_dropped(gradient):
    """Of every image the strongest tenth of the entries."""
    limit = gradient.abs().flatten(1).quantile(0.9, 1)[:, None, None, None]
    return torch.where(gradient.abs() > limit, 0, gradient)


MUTANTS = {
    "zero": torch.zeros_like,
    "halved": lambda g: g / 2,
    "a tenth longer": lambda g: 1.1 * g,
    "reversed": torch.neg,
    "sign": torch.sign,
    "one column dropped": one_column_dropped,
    "strongest entries dropped": bright_pixels_dropped,
    "shuffled": lambda g: g.roll(1, 0),
    "shifted by a pixel": lambda g: g.roll(1, 3),
    "only of the first image": lambda g: g * (torch.arange(len(g)) > 0)[:, None, None, None],
}


def mutants_of(net):
    """The same network with another backward pass: of the images, or of the maps between two layers."""
    for name, function in MUTANTS.items():
        yield name, Altered(function, copy.deepcopy(net)).eval()
    for place in (3, 6):
        inside = copy.deepcopy(net)
        inside[place] = Altered(torch.neg, inside[place]).eval()
        yield f"reversed before layer {place}", inside


@pytest.mark.parametrize("trained", [True, False])
def test_mutants_are_found(trained, toy, untrained):
    some = toy if trained else untrained(10, n=20)
    with frozen(some.model):
        for name, mutant in mutants_of(some.model):
            assert torch.equal(mutant(some.images), some.model(some.images)), name
            assert not agree(mutant, some.model, some.images), name
        assert agree(copy.deepcopy(some.model), some.model, some.images)


def test_a_constant_common_to_all_logits_hides_nothing(toy):
    """Nor does their scale."""

    class Moved(nn.Module):
        def __init__(self, net, scale, offset):
            super().__init__()
            self.net, self.scale, self.offset = net, scale, offset

        def forward(self, x):
            return self.scale * self.net(x) + self.offset

    wrong = copy.deepcopy(toy.model)
    with torch.no_grad():
        wrong[8].bias[2] += 1.0
    reverse = Altered(torch.neg, copy.deepcopy(toy.model)).eval()
    with frozen(toy.model):
        for scale, offset in ((1e-6, 0), (1e6, 0), (1, 1e4)):
            honest = Moved(toy.model, scale, offset).eval()
            assert agree(Moved(copy.deepcopy(toy.model), scale, offset).eval(), honest, toy.images)
            assert not agree(Moved(reverse, scale, offset).eval(), honest, toy.images)
        assert not agree(Moved(wrong, 1e-6, 0).eval(), Moved(toy.model, 1e-6, 0).eval(), toy.images)


def test_logits_that_differ_on_other_images_only_are_found(toy):
    class Elsewhere(nn.Module):
        """Another function where an image has noise."""

        def forward(self, x):
            noise = (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3)) > 1e-3
            return toy.model(x) + noise[:, None]

    smooth = toy.images.mean((2, 3), keepdim=True).expand_as(toy.images).contiguous()
    assert torch.equal(Elsewhere()(smooth), toy.model(smooth))
    with frozen(toy.model):
        assert not agree(Elsewhere(), toy.model, smooth)


class Part(nn.Module):
    """A network behind a step of preprocessing."""

    def __init__(self, step, net):
        super().__init__()
        self.step, self.net = step, net

    def forward(self, x):
        return self.net(self.step(x))


def under_no_grad(x):
    with torch.no_grad():
        change = (x * 6).round() / 6 - x
    return x + change


@torch.inference_mode()
def inferred(x):
    return x * 0.01


@pytest.mark.parametrize(
    "step", [lambda x: Backward.apply(x, torch.sign), under_no_grad, torch.no_grad()(torch.round), inferred]
)
def test_what_defines_its_own_gradient_is_not_traced(step):
    model = Part(step, nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())).eval()
    with pytest.raises(ValueError, match="backward pass of its own"):
        Folded(model, torch.rand(2, 3, 8, 8))
    notices = []
    assert twins_of(model, torch.rand(4, 3, 8, 8), notices) is None and notices == [
        "the attacks use the model itself: no faster copy of it can be made"
    ]


@pytest.mark.parametrize("name", ["register_forward_hook", "register_full_backward_hook", "register_forward_pre_hook"])
def test_hooks_are_not_traced(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).eval()
    getattr(model[1], name)(lambda *_: None)
    with pytest.raises(ValueError, match="hooks"):
        Folded(model, torch.rand(2, 3, 8, 8))


def test_calls_of_a_models_own_are_not_traced():
    class OwnCall(nn.Sequential):
        def __call__(self, x):
            return super().__call__(x.clamp(0.001, 0.999))

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).eval()
    replaced = copy.deepcopy(net)
    replaced[1].forward = nn.functional.relu
    for model in (OwnCall(*net).eval(), replaced):
        with pytest.raises(ValueError, match="of its own"):
            Folded(model, torch.rand(2, 3, 8, 8))
    Folded(net, torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize("mutant", ["zero", "reversed", "one column dropped"])
def test_a_lying_copy_is_left_out_and_the_outcomes_say_so(toy, monkeypatch, mutant):
    images, labels = toy.images[:24], toy.labels[:24]

    class Lying(Folded):
        def forward(self, x):
            return super().forward(Backward.apply(x, MUTANTS[mutant]))

    monkeypatch.setattr(twins, "Folded", Lying)
    lied_to = evaluate(toy.model, images, labels, QUICK)
    assert any("has other logits or gradients" in notice for notice in lied_to.flags.notices)
    monkeypatch.setattr(autoattack, "twins_of", lambda *_: None)
    bare = evaluate(toy.model, images, labels, QUICK)
    assert 0.1 < bare.robust.mean() < 0.9 and np.array_equal(lied_to.robust, bare.robust)
    assert not any("logits or gradients" in notice for notice in bare.flags.notices)


def test_the_official_code_gets_the_model_itself(toy, monkeypatch):
    pytest.importorskip("pyautoattack")
    monkeypatch.setattr(autoattack, "twins_of", lambda *_: pytest.fail("a copy for the oracle"))
    params = QUICK.model_copy(update={"backend": "pyautoattack", "epsilons": (0.05,)})
    assert 0 < evaluate(toy.model, toy.images[:24], toy.labels[:24], params).robust.mean() < 1


def test_bf16_is_rounding_of_another_size(toy):
    model = Classifier(RESNET18, 10, seed=1).eval()
    reverse = Altered(torch.neg, copy.deepcopy(toy.model)).eval()
    with frozen(model), frozen(toy.model):
        for net, images in ((model, torch.rand(8, 3, 32, 32)), (toy.model, toy.images)):
            assert not agree(InBf16(net).eval(), net, images) and agree(InBf16(net).eval(), net, images, IN_BF16)
        assert not agree(reverse, toy.model, toy.images, IN_BF16)


def test_a_copy_in_bf16_that_has_lost_the_gradient_is_not_used(toy):
    class Rounds(nn.Module):
        """In bf16 nothing is left of small changes."""

        def forward(self, x):
            return toy.model(x.round() + 0 * x if torch.is_autocast_enabled("cpu") else x)

    with frozen(toy.model):
        assert coarse_twins(toy.model, None, toy.images) is not None
        assert coarse_twins(Rounds().eval(), None, toy.images) is None
