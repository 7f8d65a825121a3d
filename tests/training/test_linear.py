"""The linear probe against logistic regression; each learning rate against a run of its own; choice and head."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from robust3d.data.images import ImageData
from robust3d.errors import UserError
from robust3d.models.architecture import Architecture
from robust3d.models.classifier import Classifier
from robust3d.training.classification import to_unit
from robust3d.training.loop import train
from robust3d.trainings import linear
from robust3d.trainings.linear.task import LinearProbe, frozen_features

torch.set_num_threads(1)
CLASSES, PX, DIM = 4, 16, 48


class Tiny(torch.nn.Module):
    """A random projection, a batch norm and a head."""

    def __init__(self, classes):
        super().__init__()
        self.body, self.norm = torch.nn.Linear(3 * PX * PX, DIM), torch.nn.BatchNorm1d(DIM)
        self.head = torch.nn.Linear(DIM, classes)

    def forward(self, images):
        return self.head(self.norm(self.body(images.flatten(1))).relu())


TINY = Architecture("tiny", Tiny, "head", DIM)


def pictures(count, seed):
    """The class is a faint pattern in noise."""
    patterns = torch.randint(0, 55, (CLASSES, 3, PX, PX), generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 200, (count, 3, PX, PX), generator=generator)
    labels = torch.arange(count) % CLASSES
    return ImageData.of((noise + patterns[labels]).to(torch.uint8), labels)


def params(**changes):
    values = {"epochs": 20, "batch_size": 32, "validate_epochs": 20, "standardise": True}
    return linear.Params(**(values | changes))


def trained(settings, images, held_out, seed=0):
    classifier = Classifier(TINY, CLASSES, seed=1)
    task = linear.make_task(classifier, images, held_out, settings)
    history = train(task, settings.loop(len(images)), seed)
    return classifier, task, history


def logistic_regression(features, labels, strength):
    """Weights (C, D + 1) where strength x cross-entropies + half of the squared weights is least, as scikit-learn."""
    rows = np.hstack([features, np.ones((len(features), 1))])
    hot = np.eye(CLASSES)[labels]

    def objective(flat):
        weight = flat.reshape(CLASSES, -1)
        logits = rows @ weight.T
        logits -= logits.max(1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(1, keepdims=True)
        cost = -(hot * np.log(shares + 1e-300)).sum() * strength + (weight[:, :-1] ** 2).sum() / 2
        slope = strength * (shares - hot).T @ rows
        slope[:, :-1] += weight[:, :-1]
        return cost, slope.ravel()

    start = np.zeros(CLASSES * rows.shape[1])
    return minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 400}).x.reshape(CLASSES, -1)


def test_it_is_as_good_as_logistic_regression():
    images, held_out, tested = pictures(400, 0), pictures(400, 1), pictures(2000, 2)
    classifier, task, history = trained(params(), images, held_out)
    mean, scale = task.mean, task.scale
    (train_x, val_x, test_x) = (
        ((frozen_features(classifier, data, torch.arange(len(data))) - mean) / scale).double().numpy()
        for data in (images, held_out, tested)
    )
    found = []
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        weight = logistic_regression(train_x, images.labels.numpy(), strength)
        right = [
            float(((x @ weight[:, :-1].T + weight[:, -1]).argmax(1) == data.labels.numpy()).mean())
            for x, data in ((val_x, held_out), (test_x, tested))
        ]
        found.append(right)
    reference = max(found)[1]  # the strength that is best on the validation images, as the probe's learning rate
    with torch.no_grad():
        ours = float((classifier(to_unit(tested.all())).argmax(1) == tested.labels).double().mean())
    assert 0.5 < reference < 0.98, "the comparison is about images that are neither trivial nor hopeless"
    assert ours == pytest.approx(reference, abs=0.01)
    assert history.selected["validation"]["accuracy"] > 0.5


def test_each_head_is_what_its_learning_rate_alone_gives():
    images, held_out = pictures(64, 0), pictures(32, 1)
    rates = (0.01, 0.3)
    together = trained(params(learning_rates=rates, epochs=3), images, held_out)[1]
    for number, rate in enumerate(rates):
        alone = params(learning_rates=(rate,), epochs=3)
        classifier = Classifier(TINY, CLASSES, seed=1)
        task = LinearProbe(classifier, images, held_out, alone)
        start = LinearProbe(copy.deepcopy(classifier), images, held_out, params(learning_rates=rates)).heads
        with torch.no_grad():
            task.heads.weight.copy_(start.weight[number : number + 1])
        train(task, alone.loop(len(images)), 0)
        torch.testing.assert_close(together.heads.weight[number], task.heads.weight[0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(together.heads.bias[number], task.heads.bias[0], rtol=1e-4, atol=1e-6)


def test_few_labels_choose_the_learning_rate_by_parts_of_their_own_images():
    """Against a search done by hand: a training for each fold, and the accuracy on the images that it has not seen."""
    images, held_out = pictures(400, 0), pictures(8, 1)
    rates = (1e-4, 0.3)
    settings = params(learning_rates=rates, epochs=40, batch_size=48, labels_per_class=12, standardise=False)
    loop = settings.loop(48)  # each step takes all labelled images
    task = linear.make_task(Classifier(TINY, CLASSES, seed=1), images, held_out, settings)
    history = train(task, loop, 0)
    assert sorted(task.fold.bincount().tolist()) == [9, 9, 10, 10, 10]
    for label in range(CLASSES):
        assert task.fold[task.labels == label].bincount(minlength=5).min() >= 2
    right = torch.zeros(2)
    for fold in range(5):
        kept, left = (task.fold != fold).nonzero()[:, 0], (task.fold == fold).nonzero()[:, 0]
        alone = LinearProbe(
            Classifier(TINY, CLASSES, seed=1), images.part(task.labelled[kept]), images.part(task.labelled[left]),
            settings.model_copy(update={"labels_per_class": None, "batch_size": len(kept)}),
        )  # fmt: skip
        alone.rates = task.rates
        train(alone, loop, 0)
        answers = torch.cat([part.argmax(2) for part in alone._unseen()], 1)
        right += (answers == alone.held_out.labels).sum(1)
        logits = task.heads(task.features[0][left])[2 * (1 + fold) : 2 * (2 + fold)]
        torch.testing.assert_close(logits, torch.cat(alone._unseen(), 1), rtol=1e-3, atol=1e-4)
    best = int(right.argmax())
    assert history.selected["validation"]["accuracy"] == pytest.approx(float(right[best]) / 48)
    assert history.selected["validation"]["learning_rate"] == task.rates[best] == max(task.rates)
    torch.testing.assert_close(task.heads.chosen.weight, task.heads.weight[best])


def test_one_label_a_class_leaves_the_choice_to_the_validation_images():
    _, task, _ = trained(params(labels_per_class=1), pictures(40, 0), pictures(24, 1))
    assert task.fold is None and len(task.heads.weight) == len(task.rates)


def test_only_the_head_changes_and_the_classifier_computes_what_the_best_head_does():
    images, held_out = pictures(96, 0), pictures(48, 1)
    untouched = Classifier(TINY, CLASSES, seed=1)
    classifier, task, history = trained(params(epochs=2, validate_epochs=1, selection="best"), images, held_out)
    state = classifier.network.state_dict()
    changed = {name for name, value in untouched.network.state_dict().items() if not value.equal(state[name])}
    assert changed == {"head.weight", "head.bias"}
    with torch.no_grad():
        logits, by_heads = classifier(to_unit(held_out.all())), task.heads(task.held_out_features)
    number = task.rates.index(history.selected["validation"]["learning_rate"])
    torch.testing.assert_close(logits, by_heads[number], rtol=1e-3, atol=1e-4)
    right = (by_heads.argmax(2) == held_out.labels).double().mean(1)
    assert right[number] == right.max() == history.selected["validation"]["accuracy"]


def test_the_features_are_those_of_the_network_without_its_head():
    images = pictures(8, 0)
    classifier = Classifier(TINY, CLASSES, seed=1)
    trunk = copy.deepcopy(classifier).eval()
    trunk.network.head = torch.nn.Identity()
    for mirrored in (False, True):
        pixels = to_unit(images.all())
        with torch.no_grad():
            expected = trunk(pixels.flip(3) if mirrored else pixels)
        torch.testing.assert_close(frozen_features(classifier, images, torch.arange(8), mirrored), expected)


def test_few_labels_are_as_many_of_each_class_and_other_ones_for_another_seed():
    images, held_out = pictures(80, 0), pictures(16, 1)
    make = lambda **changes: LinearProbe(  # noqa: E731
        Classifier(TINY, CLASSES), images, held_out, params(**changes)
    )
    one, same, other = make(labels_per_class=3), make(labels_per_class=3), make(labels_per_class=3, seed=1)
    assert one.labels.bincount().tolist() == [3] * CLASSES and one.features.shape[1] == one.count == 12
    assert one.features.equal(same.features) and not one.features.equal(other.features)
    assert make(augmentation="flip").features.shape[:2] == (2, 80)
    with pytest.raises(UserError, match="labels_per_class: 21, but class 0 has 20 training images"):
        make(labels_per_class=21)


def test_a_learning_rate_that_explodes_harms_no_other():
    images, held_out = pictures(64, 0), pictures(32, 1)
    _, task, history = trained(params(learning_rates=(0.05, 1e38), batch_size=256, epochs=20), images, held_out)
    assert history.selected["validation"]["learning_rate"] == task.rates[0]
    with pytest.raises(UserError, match="add smaller ones"):
        trained(params(learning_rates=(2e38, 3e38), batch_size=256, epochs=20), images, held_out)


@pytest.mark.parametrize("key", ["learning_rate", "weight_decay", "batchnorm", "decay_epochs"])
def test_keys_without_a_meaning_are_refused(key):
    value = {"batchnorm": "reset", "decay_epochs": (3,)}.get(key, 0.5)
    with pytest.raises(ValueError, match=f"{key}: has no meaning for objective linear"):
        linear.Params(**{key: value})


def test_the_schedule_is_half_a_cosine():
    from robust3d.training.loop import learning_rate

    loop = params(learning_rates=(0.1, 0.2), batch_size=128, epochs=2).loop(640)
    assert loop.steps == 10 and loop.learning_rate == pytest.approx(0.1)
    rates = [learning_rate(loop, step) for step in range(10)]
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10)
    for rate in rates:
        assert rate == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
