"""Twins compute the model's function; where they would not, or lie, the attack's outcome is the model's own."""

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.architectures import architecture
from robust3d.attacks import autoattack
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.folding import Blocks, Folded
from robust3d.attacks.params import AutoAttackParams
from robust3d.attacks.twins import InBf16, Twins, twins_of
from robust3d.models.classifier import Classifier

RESNET18 = architecture("resnet18")

QUICK = AutoAttackParams(epsilons=(0.03, 0.05, 0.07), iterations=15, square_queries=60, target_classes=3)


def norms_in(module):
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def test_a_resnet_has_twins_without_batch_norms():
    model = Classifier(RESNET18, 10).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in model.named_buffers():  # an untrained batch norm would be the identity
        if "running" in name:
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    model.eval()
    images = torch.rand(6, 3, 32, 32, generator=generator)
    twins = twins_of(model, images)
    assert norms_in(model) == 20 and norms_in(twins.differentiable) == 0
    with torch.no_grad():
        wanted = model(images)
        for twin in (twins.differentiable, twins.inference):
            for count in (1, 5, 6):
                assert torch.allclose(twin(images[:count]), wanted[:count], atol=1e-4, rtol=1e-4)
    inputs = [images.clone().requires_grad_() for _ in range(2)]
    slopes = [torch.autograd.grad(f(x)[:, 3].sum(), [x])[0] for f, x in zip((model, twins.differentiable), inputs)]
    assert torch.allclose(*slopes, atol=1e-4 * float(slopes[0].abs().max()))
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (7, 2, 3), (5, 1, 2), (1, 2, 0)])
def test_cropped_kernels_convolve_alike(size, kernel, stride, padding):
    with torch.random.fork_rng():
        torch.manual_seed(size)
        model = nn.Sequential(nn.Conv2d(3, 5, kernel, stride, padding), nn.BatchNorm2d(5)).eval()
        model[1].running_mean.uniform_()
        images = torch.rand(2, 3, size, size + 1)
    folded = Folded(model, images)
    assert torch.allclose(folded(images), model(images), atol=1e-5)
    if size == 1 and kernel > 1:
        assert folded.pairs[0].folded.weight.shape[2] == 1 < kernel
    with pytest.raises(ValueError, match="folded for images"):
        folded(torch.rand(2, 3, size + 1, size))


@pytest.mark.parametrize("size", [(8, 8), (10, 6), (2, 4)])
@pytest.mark.parametrize(("kernel", "padding"), [(7, 3), (3, 1), (4, 1), (5, 2), (1, 0), (2, 0), (3, (0, 2))])
def test_a_convolution_over_blocks_is_the_one_over_pixels(size, kernel, padding):
    if any(side + 2 * min(np.atleast_1d(padding)) < kernel for side in size):
        return
    with torch.random.fork_rng():
        torch.manual_seed(kernel)
        model = nn.Sequential(nn.Conv2d(3, 5, kernel, 2, padding), nn.BatchNorm2d(5)).eval()
        images = torch.rand(2, 3, *size)
    blocked = Folded(model, images, blocked=True)
    assert isinstance(blocked.blocks, Blocks)
    for turn in range(2):  # also after the weights have changed
        pictures = [images.clone().requires_grad_() for _ in range(2)]
        outputs = [f(x) for f, x in zip((blocked, model), pictures)]
        weights = torch.rand_like(outputs[0])
        slopes = [torch.autograd.grad((y * weights).sum(), [x])[0] for y, x in zip(outputs, pictures)]
        assert torch.allclose(*outputs, atol=1e-5) and torch.allclose(*slopes, atol=1e-5), turn
        with torch.no_grad():
            model[0].weight.mul_(1.5)
            model[1].running_mean.add_(0.3)
        blocked.refresh()


@pytest.mark.parametrize(
    "conv", [nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(8, 4, 3, 2, 1), nn.Conv2d(3, 3, 3, 2, 1, groups=3),
             nn.Conv2d(3, 4, 3, 2, 1, padding_mode="reflect"), nn.Conv2d(3, 4, 3, 2, 1, dilation=2)],
)  # fmt: skip
def test_other_convolutions_stay(conv):
    model = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels)).eval()
    images = torch.rand(2, conv.in_channels, 8, 8)
    folded = Folded(model, images, blocked=True)
    assert folded.blocks is None and torch.allclose(folded(images), model(images), atol=1e-5)
    assert (
        Folded(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4)).eval(), torch.rand(1, 3, 7, 8), True).blocks
        is None
    )


class Branching(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :4] if float(x.sum()) > 0 else x.flatten(1)[:, 4:8]


class CountsItsCalls(nn.Module):
    """A trace would keep the number of the call in which it was taken."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x.flatten(1)[:, :4] * self.calls


@pytest.mark.parametrize("model", [Branching(), CountsItsCalls(), lambda x: x.flatten(1)[:, :4]])
def test_what_cannot_be_traced_faithfully_has_none(model):
    assert twins_of(model, torch.rand(3, 3, 8, 8)) is None


def test_outcomes_are_those_of_the_model_itself(toy, monkeypatch):
    """With honest twins, with none, and with twins that call every image misclassified."""
    honest = evaluate(toy.model, toy.images[:24], toy.labels[:24], QUICK)
    monkeypatch.setattr(autoattack, "twins_of", lambda *_: None)
    bare = evaluate(toy.model, toy.images[:24], toy.labels[:24], QUICK)
    assert 0.1 < bare.robust.mean() < 0.9
    assert np.array_equal(honest.robust, bare.robust) and np.array_equal(honest.broken_by, bare.broken_by)

    class Liar(nn.Module):
        def forward(self, x):
            return toy.model(x).roll(1, 1)

    monkeypatch.setattr(autoattack, "twins_of", lambda *_: Twins(Liar(), Liar()))
    lied_to = evaluate(toy.model, toy.images[:24], toy.labels[:24], QUICK)
    assert np.array_equal(lied_to.robust, bare.robust)
    assert lied_to.cost["apgd-ce"].forwards > bare.cost["apgd-ce"].forwards


def test_a_randomised_model_is_attacked_itself(toy, monkeypatch):
    monkeypatch.setattr(autoattack, "twins_of", lambda *_: pytest.fail("twins of a randomised model"))
    generator = torch.Generator().manual_seed(0)

    class Noisy(nn.Module):
        def forward(self, x):
            return toy.model(x) + 0.01 * torch.randn(len(x), 10, generator=generator)

    assert evaluate(Noisy().eval(), toy.images[:8], toy.labels[:8], QUICK).flags.randomised


def test_a_search_in_bf16_counts_only_what_the_model_itself_confirms(toy, monkeypatch):
    exact = evaluate(toy.model, toy.images[:40], toy.labels[:40], QUICK)
    differentiated = []
    forward = InBf16.forward

    def watched(self, images):
        logits = forward(self, images)
        weights = [part.weight.dtype for part in self.copy.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
        assert logits.dtype == torch.float32 and set(weights) == {torch.bfloat16}
        differentiated.append(logits.requires_grad)
        return logits

    monkeypatch.setattr(InBf16, "forward", watched)
    coarse = evaluate(
        toy.model, toy.images[:40], toy.labels[:40], QUICK.model_copy(update={"search_precision": "bf16"})
    )
    assert {True, False} <= set(differentiated) and coarse.flags.notices == exact.flags.notices
    assert abs(coarse.robust.sum(0) - exact.robust.sum(0)).max() <= 2  # of 40: other roundings, other paths
    assert toy.model.get_submodule("0").weight.dtype == torch.float32


def test_bf16_rounds_the_logits_and_nothing_more(toy):
    wanted, found = toy.model(toy.images), InBf16(toy.model)(toy.images)
    apart = (found - wanted).abs().amax() / wanted.abs().amax()
    assert 1e-5 < apart < 0.03


def test_a_search_that_cannot_be_in_bf16_says_so(toy):
    params = QUICK.model_copy(update={"search_precision": "bf16"})
    outcomes = evaluate(lambda images: toy.model(images), toy.images[:4], toy.labels[:4], params)
    assert any("bfloat16" in notice for notice in outcomes.flags.notices)
