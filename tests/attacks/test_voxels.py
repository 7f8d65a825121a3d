import pytest
import torch
from torch import nn

from robust3d.attacks.voxels import (
    binarised,
    flip,
    iterative_fgsm,
    loss_gradient,
    quarter_turns,
    step_length,
)

R = 4


class Linear(nn.Module):
    """Two classes by the sign of <w, x> + b; what an attack can do is known in closed form."""

    def __init__(self, seed=0, offset=0.0):
        super().__init__()
        weights = torch.randn(R, R, R, generator=torch.Generator().manual_seed(seed))
        self.weights, self.offset = weights, offset

    def forward(self, volumes):
        score = (volumes * self.weights).flatten(1).sum(1) + self.offset
        return torch.stack([score, -score], 1)


def volumes(count=6, seed=1):
    return (torch.rand(count, R, R, R, generator=torch.Generator().manual_seed(seed)) > 0.5).float()


def test_what_a_step_is_under_each_reading():
    assert step_length("each", 0.005, 10) == 0.005
    assert step_length("total", 0.005, 10) == pytest.approx(0.0005)
    assert step_length("fifth", 0.005, 10) == pytest.approx(0.001)  # ten steps: twice FGSM's budget
    assert step_length("fifth", 0.005, 5) * 5 == pytest.approx(0.005)


@pytest.mark.parametrize("clip", [True, False])
def test_fgsm_of_a_linear_model(clip):
    model, clean = Linear(), volumes()
    labels = torch.zeros(len(clean), dtype=torch.int64)
    towards = -model.weights.sign()  # which lowers the score of class 0
    found = dict(iterative_fgsm(model, clean, labels, 0.1, (1, 3), clip))
    for steps in (1, 3):
        expected = clean + steps * 0.1 * towards
        torch.testing.assert_close(found[steps], expected.clamp(0, 1) if clip else expected)
    assert torch.equal(binarised(found[3]), clean)  # 0.3 is less than one half: it is undone


def test_iterates_are_those_of_a_shorter_run():
    model, clean = nn.Sequential(nn.Flatten(), nn.Linear(R**3, 8), nn.Tanh(), nn.Linear(8, 3)), volumes()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    both = dict(iterative_fgsm(model, clean, labels, 0.05, (5, 10), True))
    alone = dict(iterative_fgsm(model, clean, labels, 0.05, (5,), True))
    assert torch.equal(both[5], alone[5]) and not torch.equal(both[10], both[5])


@pytest.mark.parametrize("budget", [1, 3, 7])
def test_flips_of_a_linear_model_are_the_best_ones(budget):
    clean = volumes()
    model = Linear(offset=300.0)  # nothing is fooled, the whole budget is used, and cross-entropy has no gradient
    labels = torch.zeros(len(clean), dtype=torch.int64)
    found = flip(model, clean, labels, (budget,), rounds=3)[budget]
    assert set(found.unique().tolist()) <= {0.0, 1.0}
    assert ((found != clean).flatten(1).sum(1) == budget).all()
    assert not loss_gradient(model, clean, labels).any()
    gains = (-model.weights * (1 - 2 * clean)).flatten(1)  # of each flip, exact
    best = gains.topk(budget, 1).values.sum(1)
    lost = (model(clean) - model(found))[:, 0]
    torch.testing.assert_close(lost, best, rtol=1e-3, atol=1e-3)


def test_flips_stop_when_the_answer_is_wrong_and_keep_it():
    clean = volumes(40)
    model = Linear()
    labels = model(clean).argmax(1)
    found = flip(model, clean, labels, (2, 20), rounds=10)
    fooled = {budget: model(x).argmax(1) != labels for budget, x in found.items()}
    count = {budget: (x != clean).flatten(1).sum(1) for budget, x in found.items()}
    assert all(bool((count[budget] <= budget).all()) for budget in count)
    assert bool(fooled[20].all()) and fooled[20].sum() >= fooled[2].sum()
    assert bool((count[20] < 20).any())  # it stopped before the budget was used


def test_a_budget_above_the_volume():
    clean = volumes(2)
    found = flip(Linear(offset=1e6), clean, torch.zeros(2, dtype=torch.int64), (1000,), rounds=2)[1000]
    assert torch.equal(found, 1 - clean)


@pytest.mark.parametrize(("up", "axis"), [("y", 2), ("z", 3)])
def test_quarter_turns_keep_the_vertical(up, axis):
    clean, model = volumes(8), Linear()
    labels = torch.zeros(len(clean), dtype=torch.int64)
    turned = quarter_turns(model, clean, labels, up)
    planes = [dim for dim in (1, 2, 3) if dim != axis]
    torch.testing.assert_close(turned.sum(planes), clean.sum(planes))  # each level has as many voxels as before
    losses = torch.stack([model(torch.rot90(clean, k, planes))[:, 0] for k in range(4)])
    torch.testing.assert_close(model(turned)[:, 0], losses.amin(0))
