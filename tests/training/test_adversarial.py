import copy
import os
import signal
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from robust3d import registry
from robust3d.architectures import architecture
from robust3d.attacks.params import PgdParams
from robust3d.attacks.pgd import pgd
from robust3d.data.images import ImageData
from robust3d.models.classifier import Classifier
from robust3d.seeds import torch_generator
from robust3d.training.classification import Classification, to_unit
from robust3d.training.loop import STOPPED, train
from robust3d.training.params import ClassifierParams

RESNET18 = architecture("resnet18")

torch.set_num_threads(1)
PX, CLASSES = 16, 3


def toy_images(count, seed):
    """The class is a bright third of the columns (robust) and a faint pattern (not robust), in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    faint = torch.randint(0, 2, (CLASSES, 3, PX, PX), generator=torch.Generator().manual_seed(99)) * 16
    images = torch.randint(0, 120, (count, 3, PX, PX), generator=generator, dtype=torch.uint8)
    for image, label in zip(images, labels):
        image[:, :, 5 * label : 5 * label + 5] += 100
        image += faint[label].to(torch.uint8)
    return images, labels


def params(objective="pgd", **changes):
    values = {
        "attack": PgdParams(norm="Linf", epsilon=0.1, step_size=0.025),
        "epochs": 1,
        "batch_size": 16,
        "learning_rate": 0.02,
        "decay_epochs": (),
        "validate_epochs": 1,
    }
    return registry.load("training", objective).Params(**(values | changes))


def make_task(settings, count=48, held_out=30):
    images = (ImageData.of(*toy_images(*part)) for part in ((count, 0), (held_out, 1)))
    return registry.load("training", settings.objective).make_task(Classifier(RESNET18, CLASSES), *images, settings)


@pytest.mark.parametrize(("norm", "epsilon", "step_size"), [("Linf", 0.05, 0.01), ("L2", 1.0, 0.2)])
def test_attack_in_eval_mode_then_one_step_on_adversarial_images_only(norm, epsilon, step_size):
    task = make_task(params(attack=PgdParams(norm=norm, epsilon=epsilon, step_size=step_size)))
    model = task.module.train()
    task.attack(task.images.batch([0, 1]) / 255, task.images.labels[:2], torch_generator(0))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # as if trained since the attack's copy was made
        for value in (value for value in model.state_dict().values() if value.is_floating_point()):
            value *= 1 + 0.5 * torch.rand(value.shape, generator=generator)
    untouched = copy.deepcopy(model).eval()
    looks, calls = [], []
    task._attacked(task.classifier).register_forward_pre_hook(lambda module, args: looks.append(args[0].requires_grad))
    model.register_forward_pre_hook(lambda module, args: calls.append((module.training, args[0].detach().clone())))
    loss, scalars = task.loss(0, torch_generator(0))

    # 8 looks at the model in eval mode (7 steps, best of 8 iterates), then one in train mode
    assert looks == [True] * 7 + [False]
    assert [training for training, _ in calls] == [True]
    assert all(weight.grad is None for weight in model.parameters())
    clean, trained_on = to_unit(task.images.batch(task.batch(0))), calls[-1][1]
    labels = task.images.labels[task.batch(0)]
    expected, worst = pgd(untouched, clean, labels, task.params.attack)
    # up to rounding, which may turn the sign of a gradient near 0
    assert ((trained_on - expected).abs() > 1e-4).float().mean() < 0.01

    # the ball is in raw pixels
    size = (trained_on - clean).flatten(1)
    size = size.abs().amax(1) if norm == "Linf" else size.norm(dim=1)
    assert size.max() <= epsilon * (1 + 1e-5) and size.max() > 0.9 * epsilon
    assert trained_on.min() >= 0 and trained_on.max() <= 1
    with torch.no_grad():
        before = functional.cross_entropy(untouched(clean), labels, reduction="none")
    assert (worst >= before - 1e-6).all() and worst.mean() > before.mean()

    # the batch norm saw exactly one batch, the adversarial one
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        before_bn = untouched.network.bn1.running_mean
        maps = untouched.network.conv1((trained_on - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    bn = model.network.bn1
    assert bn.num_batches_tracked == 1
    assert torch.allclose(bn.running_mean, 0.9 * before_bn + 0.1 * maps.mean((0, 2, 3)), atol=1e-5)
    assert 0 <= float(scalars["accuracy"]) <= 1 and loss.requires_grad


def test_standard_objective_trains_on_the_clean_images():
    task = make_task(params(objective="standard"))
    calls = []
    task.module.train().register_forward_pre_hook(lambda module, args: calls.append((module.training, args[0])))
    task.loss(0, torch_generator(0))
    assert len(calls) == 1 and calls[0][0]
    assert torch.equal(calls[0][1], to_unit(task.images.batch(task.batch(0))))


@pytest.mark.parametrize("count", [48, 37])
def test_every_image_once_per_epoch_in_an_order_of_its_own(count):
    task = make_task(params(), count=count)
    stream = torch.cat([task.batch(step) for step in range(8)]).tolist()
    first, second = stream[:count], stream[count : 2 * count]
    assert sorted(first) == sorted(second) == list(range(count))
    assert first != second
    assert torch.equal(make_task(params(), count=count).batch(5), task.batch(5))
    assert not torch.equal(make_task(params(seed=1), count=count).batch(5), task.batch(5))


def test_epochs_become_steps_as_in_the_paper():
    paper = ClassifierParams(epochs=60, batch_size=50, decay_epochs=(50,), validate_epochs=5).loop(10_000)
    assert (paper.steps, paper.decay_steps, paper.validate_every) == (12_000, (10_000,), 1_000)
    assert (paper.optimiser, paper.learning_rate, paper.momentum) == ("sgd", 0.1, 0.9)
    assert ClassifierParams(epochs=3, batch_size=16, decay_epochs=()).loop(37).steps == 7  # 111 images


def test_flip_turns_about_half_of_the_images_over():
    task = make_task(params(objective="standard", augmentation="flip", batch_size=48))
    seen = []
    task.module.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    task.loss(0, torch_generator(1))
    clean = to_unit(task.images.batch(task.batch(0)))
    kept = (seen[0] == clean).flatten(1).all(1)
    turned = (seen[0] == clean.flip(3)).flatten(1).all(1)
    assert (kept ^ turned).all() and 12 < int(turned.sum()) < 36


def test_standard_training_learns_and_validation_reports_chance():
    settings = params(objective="standard", epochs=12, validate_epochs=12, learning_rate=0.005)
    task = make_task(settings, count=96)
    history = train(task, settings.loop(96), seed=3)
    last = history.rows[-1]["validation"]
    assert last["chance"] == pytest.approx(1 / 3)
    assert last["accuracy"] >= 0.8
    assert history.collapse is None and history.images_seen == 12 * 96
    with torch.no_grad():
        assert task.validate() == last  # same weights, same numbers


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_adversarial_training_resists_the_attack_better_than_standard_training(seed):
    attack = PgdParams(norm="Linf", epsilon=0.12, step_size=0.06, steps=3)
    common = {"attack": attack, "epochs": 12, "validate_epochs": 12, "learning_rate": 0.005, "seed": seed}
    robust = {}
    for objective in ("standard", "pgd"):
        settings = params(objective=objective, **common)
        task = make_task(settings, count=96)
        robust[objective] = train(task, settings.loop(96), seed).rows[-1]["validation"]["pgd_accuracy"]
    assert robust["pgd"] > robust["standard"] + 0.2


def test_resumed_adversarial_training_equals_uninterrupted(tmp_path):
    settings = params(
        attack=PgdParams(epsilon=0.1, step_size=0.05, steps=1, random_start=True),
        epochs=1,
        augmentation="flip",
    )
    whole = make_task(settings)
    history = train(whole, settings.loop(48), seed=2)
    stopped = make_task(settings)
    stopped.loss = lambda step, generator: _terminate(stopped, step, generator, at=1)
    with pytest.raises(SystemExit) as stop:
        train(stopped, settings.loop(48), 2, tmp_path)
    assert stop.value.code == STOPPED
    parts = make_task(settings)
    assert train(parts, settings.loop(48), 2, tmp_path) == history
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, parts.module.state_dict()[name]), name


def _terminate(task, step, generator, at):
    if step == at:
        os.kill(os.getpid(), signal.SIGTERM)
    return Classification.loss(task, step, generator)


def test_a_training_says_what_it_trains_against():
    """Tables take the columns of a norm from it."""
    attack = PgdParams(norm="L2", epsilon=1.0, step_size=0.2)
    assert params(attack=attack).trained_against == "L2"
    assert params(objective="standard", attack=attack).trained_against is None


def test_a_constant_classifier_is_called_collapsed():
    task = make_task(params())
    task.module.eval()
    with torch.no_grad():
        task.module.network.fc.weight.zero_()
        task.module.network.fc.bias.copy_(torch.tensor([0.0, 1, 0]))
        sentence = task.collapse(task.validate())
    assert "one class to 100% of the validation images (accuracy 0.333, chance 0.333)" in sentence
    good = {"accuracy": 0.9, "pgd_accuracy": 0.5, "chance": 0.34, "largest_answer": 0.4, "loss": 0.1}
    assert task.collapse(good) is None
    assert task.score(good) == 0.5
    assert make_task(params(objective="standard")).score(good) == 0.9


def test_parameters_import_no_torch():
    code = "import sys, robust3d.trainings.pgd, robust3d.trainings.standard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("changes", [{"decay_epochs": (9, 3)}, {"batch_size": 1}, {"epochs": 0}, {"stepz": 1}])
def test_impossible_parameters_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        ClassifierParams(**changes)
