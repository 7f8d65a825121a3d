"""PGD against hand-computed steps, and against what MadryLab's loop is known to evaluate and leave alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from robust3d.attacks.params import PgdParams
from robust3d.attacks.pgd import pgd


class TwoPixels(nn.Module):
    """Logits (0, w·x): for label 0 the loss rises along +w."""

    def __init__(self, weight: tuple[float, float]) -> None:
        super().__init__()
        self.weight = torch.tensor(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x.flatten(1) @ self.weight
        return torch.stack((torch.zeros_like(score), score), 1)


def run(weight, start, **settings):
    images = torch.tensor(start).reshape(1, 1, 1, 2)
    x, _ = pgd(TwoPixels(weight), images, torch.tensor([0]), PgdParams(best_step=False, **settings))
    return x.flatten().tolist()


def test_linf_steps_project_and_clamp():
    common = {"norm": "Linf", "epsilon": 0.1, "step_size": 0.04}
    assert run((3.0, -4.0), (0.5, 0.5), steps=1, **common) == pytest.approx([0.54, 0.46])
    assert run((3.0, -4.0), (0.5, 0.5), steps=3, **common) == pytest.approx([0.6, 0.4])
    assert run((3.0, -4.0), (0.95, 0.03), steps=3, **common) == pytest.approx([1.0, 0.0])
    assert run((3.0, 0.0), (0.5, 0.5), steps=3, **common) == pytest.approx([0.6, 0.5])


def test_l2_steps_project_and_clamp():
    common = {"norm": "L2", "epsilon": 0.25, "step_size": 0.1}
    assert run((3.0, -4.0), (0.5, 0.5), steps=1, **common) == pytest.approx([0.56, 0.42], abs=1e-6)
    assert run((3.0, -4.0), (0.5, 0.5), steps=3, **common) == pytest.approx([0.65, 0.3], abs=1e-6)
    # Clamping follows the projection: after two steps (1, .34), so the third is (.16, -.24) cut to .25.
    assert run((3.0, -4.0), (0.9, 0.5), steps=2, **common) == pytest.approx([1.0, 0.34], abs=1e-6)
    third = 0.5 - 0.24 * 0.25 / (0.16**2 + 0.24**2) ** 0.5
    assert run((3.0, -4.0), (0.9, 0.5), steps=3, **common) == pytest.approx([1.0, third], abs=1e-6)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("random_start", [False, True])
def test_stays_in_ball_and_box(untrained, norm, random_start):
    toy = untrained(7, n=32)
    epsilon = 0.03 if norm == "Linf" else 0.5
    params = PgdParams(norm=norm, epsilon=epsilon, step_size=epsilon / 2, random_start=random_start)
    x, losses = pgd(toy.model, toy.images, toy.labels, params, torch.Generator().manual_seed(3))
    delta = (x.double() - toy.images.double()).flatten(1)
    size = delta.abs().amax(1) if norm == "Linf" else delta.norm(dim=1)
    # The sum image + delta rounds by up to 3e-8 per pixel, on top of the relative tolerance of 1e-6.
    assert bool((size <= epsilon * (1 + 1e-6) + 3e-8).all()) and x.min() >= 0 and x.max() <= 1
    assert float(size.amax()) > 0.5 * epsilon
    assert torch.allclose(losses, F.cross_entropy(toy.model(x), toy.labels, reduction="none"), atol=1e-5)


@pytest.mark.parametrize(("norm", "length"), [("Linf", 0.1), ("L2", 0.4)])
def test_random_start_comes_from_the_generator(norm, length):
    flat = TwoPixels((0.0, 0.0))  # no gradient: what comes back is the start
    images = torch.full((50, 1, 1, 2), 0.5)
    params = PgdParams(norm=norm, epsilon=length, step_size=0.1, steps=1, best_step=False, random_start=True)
    labels = torch.zeros(50, dtype=torch.long)
    a, b, c = (pgd(flat, images, labels, params, torch.Generator().manual_seed(s))[0] for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    delta = (a - images).flatten(1)
    if norm == "L2":
        assert torch.allclose(delta.norm(dim=1), torch.full((50,), length), atol=1e-6)
    else:
        assert 0.08 < delta.abs().max() <= 0.1 + 1e-6
    with pytest.raises(ValueError, match="generator"):
        pgd(flat, images, labels, params)


class Recorder(nn.Module):
    """Keeps inputs and losses of every forward pass and counts backward passes."""

    def __init__(self, model: nn.Module, labels: torch.Tensor) -> None:
        super().__init__()
        self.model, self.labels = model, labels
        self.inputs: list[torch.Tensor] = []
        self.losses: list[torch.Tensor] = []
        self.backwards = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.model(x)
        self.inputs.append(x.detach())
        self.losses.append(F.cross_entropy(logits, self.labels, reduction="none").detach())
        if logits.requires_grad and x.requires_grad:
            logits.register_hook(self.count)
        return logits

    def count(self, gradient: torch.Tensor) -> None:
        self.backwards += 1


def test_best_step_is_the_largest_of_eight_losses(untrained):
    toy = untrained(5, n=64)
    # A step much longer than the radius overshoots, so the best iterate differs between images.
    params = PgdParams(norm="L2", epsilon=2.0, step_size=1.5, steps=7)
    recorder = Recorder(toy.model, toy.labels).eval()
    x, losses = pgd(recorder, toy.images, toy.labels, params)
    assert len(recorder.inputs) == 8 and recorder.backwards == 7
    history = torch.stack(recorder.losses)
    best, at = history.max(0)
    assert torch.equal(losses, best)
    assert len(at.unique()) > 2
    assert torch.equal(x, torch.stack(recorder.inputs)[at, torch.arange(64)])
    assert torch.equal(recorder.inputs[0], toy.images)


def test_an_image_whose_loss_never_rises_stays_clean():
    """Too long a step over a peak of the loss only leads down: the clean image is the adversarial one."""

    class Peak(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = -((x.flatten(1) - 0.45) ** 2).sum(1) * 100
            return torch.stack((torch.zeros_like(score), score), 1)

    images = torch.full((1, 1, 1, 2), 0.5)
    params = PgdParams(norm="Linf", epsilon=0.4, step_size=0.4, steps=3)
    x, _ = pgd(Peak(), images, torch.tensor([0]), params)
    assert torch.equal(x, images)
    last, losses = pgd(Peak(), images, torch.tensor([0]), params.model_copy(update={"best_step": False}))
    assert losses is None and not torch.equal(last, images)


def test_gradient_is_that_of_the_batch_mean_for_tiny_gradients():
    """The 1e-10 in the L2 normalisation makes the mean's factor 1/N visible, as in the reference."""
    x = torch.full((4, 1, 1, 2), 0.5)
    weight = 1e-9
    params = PgdParams(norm="L2", epsilon=0.25, step_size=0.1, steps=1, best_step=False)
    moved, _ = pgd(TwoPixels((weight, 0.0)), x, torch.zeros(4, dtype=torch.long), params)
    gradient = 0.5 * weight / 4
    assert moved[0, 0, 0, 0].item() == pytest.approx(0.5 + 0.1 * gradient / (gradient + 1e-10), abs=1e-5)


class WatchConvolutions(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.masks: list[list[bool]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution_backward.default:
            self.masks.append(list(args[-1]))
        return function(*args, **(kwargs or {}))


def test_leaves_weights_gradients_and_buffers_alone(untrained):
    toy = untrained(5)
    before = {name: value.clone() for name, value in toy.model.state_dict().items()}
    assert all(p.requires_grad for p in toy.model.parameters())
    with WatchConvolutions() as watch:
        pgd(toy.model, toy.images, toy.labels, PgdParams())
    assert len(watch.masks) == 14
    assert all(mask == [True, False, False] for mask in watch.masks)
    assert all(p.grad is None for p in toy.model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in toy.model.state_dict().items())
