"""What is refused before an attack, what counts as broken during one, and when its numbers are not valid."""

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.attacks import refusals
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.params import AutoAttackParams, PgdParams
from robust3d.attacks.victim import Victim, misclassified
from robust3d.errors import UserError


def quick(**settings):
    return AutoAttackParams(
        **{"epsilons": (0.05,), "iterations": 5, "square_queries": 10, "target_classes": 2, **settings}
    )


def attack(toy, model=None, n=16, labels=None, **settings):
    labels = toy.labels[:n] if labels is None else labels
    return evaluate(model or toy.model, toy.images[:n], labels, quick(**settings))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_labels_of_any_whole_type_are_taken(toy, dtype):
    found = attack(toy, labels=toy.labels[:16].to(dtype))
    assert np.array_equal(found.robust, attack(toy).robust) and found.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda y: torch.nn.functional.one_hot(y, 10), r"\(16, 10\) look one-hot; .* labels.argmax\(1\)"),
        (lambda y: y.float(), "whole numbers .* torch.float32"),
        (lambda y: y > 3, "whole numbers .* torch.bool"),
        (lambda y: y[:-1], "one class index for each of 16 images"),
        (lambda y: y[:, None], "one class index for each of 16 images"),
        (lambda y: torch.where(torch.arange(16) == 7, 99, y), r"label 99 of image 7 is none of the model's 10 classes"),
        (lambda y: torch.where(torch.arange(16) % 8 == 5, -1, y), r"label -1 of image 5, 13 is none"),
    ],
)
def test_labels_that_are_no_classes_are_refused(toy, change, told):
    with pytest.raises(ValueError, match=told):
        attack(toy, labels=change(toy.labels[:16]))


def test_budgets_in_steps_of_a_byte_are_refused(toy):
    for settings in ({"epsilons": (8.0,)}, {"epsilons": (0.1, 1.01)}):
        with pytest.raises(ValueError, match=r"is above 1.*did you mean (8|1\.01)/255\?"):
            quick(**settings)
    with pytest.raises(ValueError, match=r"Linf 8 is above 1.*8/255"):
        PgdParams(epsilon=8.0)
    assert PgdParams(norm="L2", epsilon=3.0).epsilon == 3 and quick(epsilons=(1.0,)).epsilons == (1,)
    for epsilon in (28.0, 128.0):  # the diagonal of the box of 3 x 16 x 16 pixels is 27.7
        with pytest.raises(ValueError, match=rf"L2 {epsilon:g} is more than 27\.71.*{epsilon:g}/255"):
            attack(toy, norm="L2", epsilons=(epsilon,))
    assert attack(toy, norm="L2", epsilons=(27.0,)).robust.sum() == 0


def net_with(toy, change):
    """The network with `change` on its logits, given its images too."""

    def model(x):
        return change(toy.model(x), x)

    return model


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("column", [0, 9])
def test_logits_that_are_not_finite_on_clean_images_are_refused(toy, value, column):
    """By the images' ids, whichever class has them."""

    def change(logits, x):
        strange = (x[:, 0, 0, 0] == toy.images[3, 0, 0, 0]) & (torch.arange(10)[:, None] == column)
        return torch.where(strange.T, value, logits)

    with pytest.raises(ValueError, match=r"NaN or infinite on 1 of 16 clean images \(image 103\)"):
        evaluate(net_with(toy, change), toy.images[:16], toy.labels[:16], quick(), range(100, 116))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "square"])
def test_logits_that_are_not_finite_under_attack_count_as_broken(toy, name, value):
    """A model that breaks down off the clean images, of whose pixels none is near 0.123 after all."""
    clean = (toy.images[:16, :, ::4, ::4].sum((1, 2, 3)) * 1e3).round()

    def change(logits, x):
        moved = ~torch.isin((x[:, :, ::4, ::4].sum((1, 2, 3)) * 1e3).round(), clean)
        # Finite on what `check_model` looks at beside clean images: their negatives and mixtures are moved too, which
        # it does not mind. The label's own logit is the one that fails, so that argmax alone would call it right.
        own = torch.arange(10) == logits.argmax(1, keepdim=True)
        return torch.where(moved[:, None] & own, value, logits)

    found = attack(toy, net_with(toy, change), attacks=(name,), iterations=40)
    assert found.robust.sum() == 0 and found.flags.nonfinite_logits >= 16
    assert found.clean_accuracy == 1 and found.flags.invalid == []
    assert (found.radius <= 0.05 * (1 + 1e-6)).all()


def test_the_official_code_stops_at_logits_that_are_not_finite(toy):
    pytest.importorskip("pyautoattack")
    clean = toy.images[:16].sum((1, 2, 3))

    def change(logits, x):
        moved = ~torch.isin(x.sum((1, 2, 3)), clean)
        return torch.where(moved[:, None], torch.nan, logits)

    with pytest.raises(UserError, match=r"pyautoattack.*NaN or infinite.*own"):
        attack(toy, net_with(toy, change), backend="pyautoattack")


class Then(nn.Module):
    """A network and a step on its logits, of which the attacks have copies."""

    def __init__(self, net, step):
        super().__init__()
        self.net, self.step = net, step
        self.eval()

    def forward(self, x):
        return self.step(self.net(x))


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_logits_of_any_precision_are_taken(toy, dtype, norm):
    settings = {"norm": norm, "epsilons": (0.05 if norm == "Linf" else 1.0,)}
    plain = attack(toy, Then(toy.model, lambda z: z), **settings)
    found = attack(toy, Then(toy.model, lambda z: z.to(dtype)), **settings)
    assert found.flags.invalid == [] and 0 < plain.robust.mean() < 1
    assert (found.robust != plain.robust).sum() <= (0 if dtype == torch.float64 else 2)


def test_the_default_precision_of_torch_does_not_matter(toy):
    for norm, epsilon in (("Linf", 0.05), ("L2", 1.0)):
        plain = attack(toy, norm=norm, epsilons=(epsilon,))
        torch.set_default_dtype(torch.float64)
        try:
            found = attack(toy, norm=norm, epsilons=(epsilon,))
        finally:
            torch.set_default_dtype(torch.float32)
        assert np.allclose(found.radius, plain.radius, rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize("common", ["offset", "masked classes"])
def test_what_all_logits_have_in_common_hides_nothing(toy, common):
    """Neither that an image's logits depend on its batch, nor noise."""
    masked = torch.arange(12) >= 10

    def told(net):
        def model(x):
            logits = net(x)
            if common == "offset":
                return logits + 1e4
            return torch.cat([logits, logits[:, :2]], 1).masked_fill(masked, -1e9)

        return attack(toy, model).flags

    assert told(toy.model).invalid == []
    with pytest.raises(ValueError, match="depend on other images in its batch"):
        told(lambda x: toy.model(x - 0.5 * x.mean((0, 2, 3), keepdim=True)))
    noisy = told(lambda x: toy.model(x + 0.01 * torch.randn_like(x)))
    assert noisy.randomised and "different outputs for the same images" in " ".join(noisy.invalid)


def test_frozen_scripts_are_taken(toy):
    script = torch.jit.freeze(torch.jit.script(toy.model))
    assert (attack(toy, script).robust != attack(toy).robust).sum() <= 1


def test_what_a_model_raises_is_told_with_the_shape_of_the_images(toy):
    with pytest.raises(ValueError, match=r"fails on images \(4, 16, 16, 3\) = \(N,C,H,W\): .* 3 channels"):
        evaluate(toy.model, toy.images[:2].permute(0, 2, 3, 1), toy.labels[:2], quick())


def test_misclassified_by_hand():
    logits = torch.tensor([[1.0, 2.0], [1.0, 2.0], [torch.nan, 2.0], [1.0, torch.inf], [-torch.inf, 1.0]])
    labels = torch.tensor([1, 0, 0, 1, 1])
    assert misclassified(logits, labels).tolist() == [False, True, True, True, True]


def test_entries_of_gradients_that_are_not_finite_count_as_zero():
    images = torch.tensor([0.25, 1.0, 0.0, 0.64]).reshape(1, 1, 2, 2)
    for function, wanted in (
        (lambda x: (1 - x).sqrt() ** 2, [-1, 0, -1, -1]),  # at white, zero times infinity
        (lambda x: x.sqrt(), [1, 0.5, 0, 0.625]),  # at black, infinity
    ):
        victim = Victim(lambda x, function=function: function(x).sum((2, 3)))
        _, _, gradient = victim.differentiate(images, lambda logits: logits[:, 0])
        assert victim.nonfinite_gradients == 1 and gradient.flatten().tolist() == pytest.approx(wanted)


def test_nan_gradients_are_counted_and_an_interrupted_sweep_counts_on(toy):
    class AtWhite(nn.Module):
        def forward(self, x):
            return toy.model(1 - (1 - x).sqrt() ** 2)

    white = int((toy.images[:16] == 1).sum())
    assert white > 10
    states = []
    params = quick(norm="L2", epsilons=(0.6, 1.2), batch_size=8)
    whole = evaluate(AtWhite().eval(), toy.images[:16], toy.labels[:16], params, keep=states.append)
    assert whole.flags.nonfinite_gradients > white
    again = evaluate(AtWhite().eval(), toy.images[:16], toy.labels[:16], params, start=states[len(states) // 2])
    assert again.flags == whole.flags
    assert 0 < whole.robust.mean() < 1 and abs(whole.robust.sum() - attack(toy, **dict(
        norm="L2", epsilons=(0.6, 1.2))).robust.sum()) <= 2  # fmt: skip


def test_clean_accuracy_at_chance_is_flagged(toy):
    assert not attack(toy).flags.at_chance
    assert attack(toy, labels=(toy.labels[:16] + 1) % 10).flags.at_chance


def test_accuracies_are_not_valid_where_the_attacks_fail(toy):
    assert attack(toy).flags.invalid == []
    blind = net_with(toy, lambda logits, x: logits.round() + 0 * logits)
    (huge, zero) = attack(toy, blind).flags.invalid
    assert "huge budget 0.5" in huge and "gradients are zero" in zero
    constant = net_with(toy, lambda logits, x: 0 * logits + torch.eye(10)[4])
    found = attack(toy, constant, labels=torch.full((16,), 4))
    assert found.robust.all() and "100.0% of the images are robust" in found.flags.invalid[0]
    # A margin of 1e5: the cross-entropy has no gradient, the targeted loss has.
    sharp = attack(toy, net_with(toy, lambda logits, x: 1e5 * logits), n=32)
    assert sharp.flags.zero_gradients["apgd-ce"] > 0 and sharp.flags.invalid == []


def test_the_model_is_asked_with_copies_of_the_images(toy):
    before = toy.images.clone()

    def spoils(x):
        return toy.model(x.mul_(0.9))

    with pytest.raises(ValueError, match="changes its input images in place"):
        attack(toy, spoils)
    assert torch.equal(toy.images, before)


@pytest.mark.parametrize("n", [1, 2, 16])
def test_a_batch_norm_that_looks_at_the_batch_is_refused_also_for_one_image(toy, n):
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(512, 10))
    for model in (lambda x: net.train()(x), net_without_statistics()):
        with pytest.raises(ValueError, match="batch norm in training mode or without running statistics"):
            attack(toy, model, n=n)
    assert attack(toy, net.eval(), n=n).flags.invalid == []


def net_without_statistics():
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), norm, nn.Flatten(), nn.Linear(512, 10)).eval()


def test_a_model_that_cannot_take_one_image_is_refused(toy):
    net = nn.Sequential(nn.Flatten(), nn.Linear(768, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    with pytest.raises(ValueError, match=r"cannot take a single image.*batch norm"):
        attack(toy, lambda x: net.train()(x))


def test_rounding_of_one_image_alone_is_close_and_a_change_is_not():
    """Logits near 0 round with the size of the others."""
    logits = torch.linspace(-3, 3, 101)[None]
    logits[0, 50] = 0.0
    rounded = logits + 5e-7
    assert refusals.close(rounded, logits, refusals.ALONE)
    assert not refusals.close(logits + 0.1, logits, refusals.ALONE)
