"""Auto-PGD against the closed form of a linear model and against the official code from the same start."""

import pytest
import torch

from robust3d.attacks.apgd import apgd, checkpoints, cross_entropy, targeted_dlr, targeted_margin
from robust3d.attacks.norms import radius
from robust3d.attacks.victim import Victim, frozen

EPSILONS = {"Linf": (0.04, 0.06, 0.08), "L2": (0.6, 1.0, 1.4)}


def noise(shape, norm, seed):
    torch.manual_seed(seed)
    return 2 * torch.rand(shape) - 1 if norm == "Linf" else torch.randn(shape)


def test_checkpoints_of_the_paper():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(1) == [1]


def test_targeted_losses_by_hand():
    logits = torch.tensor([[1.0, 5.0, 2.0, 4.0]])
    label, target = torch.tensor([1]), torch.tensor([2])
    assert targeted_margin(logits, label, target).item() == pytest.approx(-3)
    assert targeted_dlr(logits, label, target).item() == pytest.approx(-3 / (5 - 0.5 * (2 + 1)))


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("loss", [cross_entropy, targeted_dlr])
def test_linear_model_falls_exactly_beyond_the_optimum(linear, linear_optimum, norm, loss):
    nearest = linear.model(linear.images).sort(1).indices.flip(1)
    with frozen(linear.model):
        victim = Victim(linear.model)
        for i, optimum in enumerate(linear_optimum[norm].tolist()):
            image, label = linear.images[i : i + 1], linear.labels[i : i + 1]
            for factor, falls in ((1.02, True), (0.98, False)):
                epsilon = factor * optimum
                targets = nearest[i, 1:] if loss is targeted_dlr else nearest[i, :1]
                rows = torch.zeros(len(targets), dtype=torch.long)
                start = noise((len(targets), *image.shape[1:]), norm, i)
                found = apgd(victim, image[rows], label[rows], epsilon, norm, start, loss, targets)
                assert bool(found.fooled.any()) is falls
                assert bool((radius(found.adversarial, image[rows], norm) <= epsilon * (1 + 1e-5)).all())


def official(norm, loss, epsilon, model, targets):
    base = pytest.importorskip("pyautoattack.autopgd_base")
    if loss is cross_entropy:
        attack = base.APGDAttack(model, norm=norm, eps=epsilon, loss="ce")
    else:
        attack = base.APGDAttack_targeted(model, norm=norm, eps=epsilon)
        attack.y_target = targets
    return attack


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("loss", [cross_entropy, targeted_dlr])
def test_same_images_fall_as_officially(toy, norm, loss):
    share = []
    targets = toy.model(toy.images).sort(1).indices[:, -2]
    for epsilon in EPSILONS[norm]:
        with frozen(toy.model):
            attack = official(norm, loss, epsilon, toy.model, targets)
            attack.init_hyperparam(toy.images)
            torch.manual_seed(7)
            robust = attack.attack_single_run(toy.images, toy.labels)[1]
            start = noise(toy.images.shape, norm, 7)
            victim = Victim(toy.model)
            ours = apgd(victim, toy.images, toy.labels, epsilon, norm, start, loss, targets)
        assert torch.equal(ours.fooled, ~robust)
        assert bool((toy.model(ours.adversarial).argmax(1) != toy.labels)[ours.fooled].all())
        # The last iterate is looked at, not differentiated.
        assert victim.backwards <= 100 * len(toy.labels) and victim.forwards <= 101 * len(toy.labels)
        assert victim.backwards < victim.forwards
        share.append(float(ours.fooled.float().mean()))
    assert share[0] < 0.6 and share[-1] > 0.15 and share[0] < share[-1]


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("loss", [cross_entropy, targeted_dlr])
def test_same_trajectory_as_officially(toy, norm, loss):
    """At a budget where nothing falls, the logits of all 101 evaluations agree: so every step and review."""
    epsilon = {"Linf": 0.004, "L2": 0.06}[norm]
    clean = toy.model(toy.images).detach()
    sure = (clean.sort(1).values[:, -1] - clean.sort(1).values[:, -2]).argsort()[-32:]
    images, labels, targets = toy.images[sure], toy.labels[sure], clean.sort(1).indices[sure, -2]
    seen: list[list[torch.Tensor]] = [[], []]

    def watch(into):
        def model(x):
            into.append(toy.model(x))
            return into[-1]

        return model

    with frozen(toy.model):
        attack = official(norm, loss, epsilon, watch(seen[0]), targets)
        attack.init_hyperparam(images)
        torch.manual_seed(3)
        robust = attack.attack_single_run(images, labels)[1]
        start = noise(images.shape, norm, 3)
        ours = apgd(Victim(watch(seen[1])), images, labels, epsilon, norm, start, loss, targets)
    assert bool(robust.all()) and not bool(ours.fooled.any())
    theirs, own = (torch.stack(trace).detach() for trace in seen)
    assert theirs.shape == own.shape == (101, 32, 10)
    agree = (theirs - own).abs().amax((0, 2)) < 1e-4
    assert agree.float().mean() >= 0.95  # a sign of a gradient near 0 may differ by rounding
    moved = (theirs[1:] - theirs[:-1]).abs().amax((0, 2))
    assert float(moved.median()) > 1e-2


def test_counts_zero_gradients(untrained):
    toy = untrained(5)

    def rounded(x):
        return toy.model((x * 4).round() / 4 + 0 * x)

    with frozen(toy.model):
        start = noise(toy.images.shape, "Linf", 0)
        result = apgd(Victim(rounded), toy.images, toy.labels, 0.01, "Linf", start, iterations=2)
    assert result.zero_gradients == len(toy.labels)


@pytest.mark.parametrize("offset", [-1000.0, 1000.0])
def test_reviews_follow_any_course_of_the_loss_as_officially(untrained, offset):
    """Losses prescribed as random walks, all negative or all positive, reach every threshold and quirk."""
    toy = untrained(10, n=64)
    # Mostly small rises and few deep falls: many increases, often without a new best loss.
    falls = torch.rand(101, 64, generator=torch.Generator().manual_seed(2)) < 0.22
    walk = torch.where(falls, -4.0, 1.0).cumsum(0) + offset
    targets = (toy.labels + 1) % 10

    def prescribed():
        left = iter(walk)

        def loss(logits, labels, targets):
            slope = targeted_margin(logits, labels, targets)
            return next(left) + slope - slope.detach()

        return loss

    inputs: list[list[torch.Tensor]] = [[], []]

    def watch(into):
        def model(x):
            into.append(x.detach().clone())  # the official code overwrites it at a review
            return toy.model(x) + 1000 * torch.nn.functional.one_hot(toy.labels, 10)  # never falls

        return model

    with frozen(toy.model):
        attack = official("L2", targeted_dlr, 0.5, watch(inputs[0]), targets)
        attack.init_hyperparam(toy.images)
        theirs = prescribed()
        attack.dlr_loss_targeted = lambda logits, labels: theirs(logits, labels, targets)
        torch.manual_seed(3)
        attack.attack_single_run(toy.images, toy.labels)
        start = noise(toy.images.shape, "L2", 3)
        apgd(Victim(watch(inputs[1])), toy.images, toy.labels, 0.5, "L2", start, prescribed(), targets)
    apart = (torch.stack(inputs[0]) - torch.stack(inputs[1])).abs().amax((0, 2, 3, 4))
    assert float(apart.max()) < 1e-3
