"""Square against the official code fed with the same random numbers, and what a random search must keep."""

import pytest
import torch
from torch import Tensor

from robust3d.attacks import noise
from robust3d.attacks.norms import radius
from robust3d.attacks.square import KeyedDraws, side, square
from robust3d.attacks.victim import Victim, frozen

EPSILONS = {"Linf": 0.03, "L2": 0.5}


class OfficialDraws:
    """The official code's order of draws from the global generator, one position for the whole batch."""

    def __init__(self, norm: str, channels: int) -> None:
        self.norm, self.channels = norm, channels

    def __call__(self, query: int, rows: Tensor, count: int) -> Tensor:
        n = len(rows)
        if self.norm == "Linf":
            if query == 0:
                return torch.rand(n, self.channels, 1, count // self.channels).reshape(n, count)
            return torch.cat([torch.rand(1), torch.rand(1), torch.rand(self.channels)]).expand(n, count)
        if query > 0:
            places = [torch.rand(1) for _ in range(5)]  # two windows, then the orientation of the bump
            return torch.cat([torch.cat(places).expand(n, 5), torch.rand(n, self.channels)], 1)
        tiles = [(torch.rand(1), torch.rand(n, self.channels)) for _ in range(count // (1 + self.channels))]
        return torch.cat([torch.cat((turn.expand(n, 1), signs), 1) for turn, signs in tiles], 1)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_same_images_as_officially(toy32, norm):
    official = pytest.importorskip("pyautoattack.square")
    images, labels, epsilon = toy32.images, toy32.labels, EPSILONS[norm]
    with frozen(toy32.model):
        attack = official.SquareAttack(toy32.model, norm=norm, eps=epsilon, n_queries=200, resc_schedule=False)
        attack.init_hyperparam(images)
        torch.manual_seed(11)
        used, theirs = attack.attack_single_run(images, labels)
        torch.manual_seed(11)
        victim = Victim(toy32.model)
        ours, margins = square(victim, images, labels, epsilon, norm, OfficialDraws(norm, 3), 200)
    assert victim.forwards == int(used.sum())
    assert torch.allclose(ours, theirs, atol=1e-6)
    logits = toy32.model(theirs)
    own = logits.gather(1, labels[:, None]).squeeze(1)
    rival = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    assert torch.allclose(margins, own - rival, atol=1e-4)


@pytest.mark.slow
def test_outcomes_on_finished_classifiers_are_the_official_ones(attacked):
    """Image by image, with the same random numbers, at the first budget of each study."""
    official = pytest.importorskip("pyautoattack.square")
    for one in attacked:
        epsilon, fallen = one.epsilons[0], []
        with frozen(one.model):
            attack = official.SquareAttack(one.model, norm=one.norm, eps=epsilon, n_queries=5000, resc_schedule=False)
            attack.init_hyperparam(one.images)
            torch.manual_seed(11)
            _, theirs = attack.attack_single_run(one.images, one.labels)
            fallen.append(one.model(theirs).argmax(1) != one.labels)
            torch.manual_seed(11)
            draws = OfficialDraws(one.norm, one.images.shape[1])
            _, margins = square(Victim(one.model), one.images, one.labels, epsilon, one.norm, draws, 5000)
            fallen.append(margins <= 0)
        apart = int((fallen[0] != fallen[1]).sum())
        print(f"{one.job}: {int(fallen[1].sum())} of {len(one.labels)} fall, {apart} otherwise than officially")
        assert apart <= 1, one.job


def test_sides_of_the_paper():
    queries = [0, 11, 51, 201, 501, 1001, 2001, 4001]
    assert [side(q, 224, 224, "Linf") for q in queries] == [200, 142, 100, 71, 50, 35, 25, 18]
    assert [side(q, 32, 32, "Linf") for q in queries] == [29, 20, 14, 10, 7, 5, 4, 3]
    assert side(10, 32, 32, "Linf") == 29 and side(50, 32, 32, "Linf") == 20
    assert [side(q, 32, 32, "L2") for q in queries] == [29, 21, 15, 11, 7, 5, 5, 3]
    assert side(4999, 8, 8, "L2") == 3 and side(0, 8, 40, "Linf") == 8


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("size", [(16, 16), (13, 22), (24, 9)])
def test_margins_fall_inside_ball_and_box(untrained, norm, size):
    toy = untrained(5, size=size)
    epsilon = EPSILONS[norm]
    keys = noise.keys(0, "square", 0, range(len(toy.labels)), toy.images.device)
    with frozen(toy.model):
        trace = []
        for queries in (1, 20, 150):
            victim = Victim(toy.model)
            found, margins = square(victim, toy.images, toy.labels, epsilon, norm, KeyedDraws(keys), queries)
            assert found.min() >= 0 and found.max() <= 1
            assert bool((radius(found, toy.images, norm) <= epsilon * (1 + 1e-5)).all())
            trace.append(margins)
    assert bool((trace[1] <= trace[0]).all()) and bool((trace[2] <= trace[1]).all())
    assert bool((trace[2] < trace[0]).any())


def test_an_image_does_not_depend_on_the_others(toy):
    ids = list(range(40))
    keys = noise.keys(0, "square", 0, ids, toy.images.device)
    with frozen(toy.model):
        together, margins = square(
            Victim(toy.model), toy.images[:40], toy.labels[:40], 0.08, "Linf", KeyedDraws(keys), 100
        )
        assert bool((margins <= 0).any()) and bool((margins > 0).any())
        alone = [
            square(
                Victim(toy.model),
                *(v[i : i + 1] for v in (toy.images, toy.labels)),
                0.08,
                "Linf",
                KeyedDraws(keys[i : i + 1]),
                100,
            )[0]
            for i in range(0, 40, 5)
        ]
    assert torch.allclose(torch.cat(alone), together[::5], atol=1e-6)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_images_that_fall_at_the_start_need_no_query(untrained, norm):
    toy = untrained(4, n=6)
    wrong = (toy.labels + 1) % 4  # misclassified from the start, whatever the noise
    labels = torch.where(torch.arange(6) < 3, wrong, toy.labels)
    victim = Victim(toy.model)
    found, margins = square(victim, toy.images, labels, 1e-6, norm, KeyedDraws(torch.arange(6)), 5)
    assert bool((margins[:3] < 0).all()) and bool((margins[3:] > 0).all())
    assert victim.forwards == 6 + 5 * 3
    assert torch.allclose(found, toy.images, atol=1e-5)
