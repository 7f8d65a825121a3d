"""FAB against the closed form of a linear model, its projections against solvers, and the original."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from robust3d.attacks.fab import fab, project
from robust3d.attacks.norms import radius, size
from robust3d.attacks.victim import Victim, frozen


def random_problem(seed, dimensions):
    rng = np.random.default_rng(seed)
    points, normal = rng.random((20, dimensions)), rng.standard_normal((20, dimensions))
    normal[rng.random(normal.shape) < 0.1] = 0
    points[rng.random(points.shape) < 0.1] = 1.0  # no room on one side
    # Values for which the hyperplane meets the box, so that the problem has a solution.
    inside = rng.random((20, dimensions))
    return points, normal, ((points - inside) * normal).sum(1)


def solve(point, normal, value, norm):
    """Smallest step by a general solver."""
    d = len(point)
    if norm == "Linf":
        cost = np.r_[np.zeros(d), 1.0]
        below = np.block([[np.eye(d), -np.ones((d, 1))], [-np.eye(d), -np.ones((d, 1))]])
        bounds = [*zip(-point, 1 - point), (0, None)]
        return linprog(cost, below, np.zeros(2 * d), np.r_[normal, 0.0][None], [-value], bounds).fun
    on_plane = {"type": "eq", "fun": lambda step: normal @ step + value, "jac": lambda step: normal}
    found = minimize(
        lambda step: step @ step,
        np.zeros(d),
        jac=lambda step: 2 * step,
        bounds=list(zip(-point, 1 - point)),
        constraints=[on_plane],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return np.sqrt(found.fun)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_projection_is_the_smallest_step_in_the_box(norm):
    points, normal, value = random_problem(1, 7)
    steps = project(*(torch.tensor(v, dtype=torch.float32) for v in (points, normal, value)), norm).double().numpy()
    landed = points + steps
    assert landed.min() > -1e-6 and landed.max() < 1 + 1e-6
    assert np.abs((steps * normal).sum(1) + value).max() < 1e-5
    lengths = np.abs(steps).max(1) if norm == "Linf" else np.linalg.norm(steps, axis=1)
    best = [solve(*problem, norm) for problem in zip(points, normal, value)]
    assert lengths == pytest.approx(np.array(best), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_projection_goes_as_far_as_it_can_if_out_of_reach(norm):
    points = torch.tensor([[0.2, 0.6, 0.5]])
    step = project(points, torch.tensor([[1.0, -2.0, 0.0]]), torch.tensor([50.0]), norm)
    assert torch.allclose(points + step, torch.tensor([[0.0, 1.0, 0.5]]))


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_projection_matches_the_sorted_one(norm):
    official = pytest.importorskip("pyautoattack.fab_projections")
    points, normal, value = (torch.tensor(v, dtype=torch.float32) for v in random_problem(2, 3000))
    offset = (normal * points).sum(1) - value
    theirs = getattr(official, f"projection_{norm.lower()}")(points, normal, offset)
    assert torch.allclose(project(points, normal, value, norm), theirs, atol=2e-6)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_radius_of_a_linear_model(linear, linear_optimum, norm):
    ranked = linear.model(linear.images).sort(1).indices.flip(1)
    n = len(linear.labels)
    with frozen(linear.model):
        images, labels = (v.repeat(4, *[1] * (v.ndim - 1)) for v in (linear.images, linear.labels))
        found, distance = fab(Victim(linear.model), images, labels, ranked[:, 1:].T.reshape(-1), norm)
    assert torch.allclose(radius(found, images, norm).float(), distance, rtol=1e-5)
    nearest = distance.reshape(4, n).amin(0).double()
    assert bool((nearest >= linear_optimum[norm] * (1 - 1e-5)).all())
    assert bool((nearest <= linear_optimum[norm] * 1.01).all())


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_radii_are_the_official_ones(toy, norm):
    fab_pt = pytest.importorskip("pyautoattack.fab_pt")
    ranked = toy.model(toy.images).sort(1).indices.flip(1)
    own, theirs = [], []
    for rank, half in ((1, slice(0, 64)), (5, slice(64, 128))):
        images, labels = toy.images[half], toy.labels[half]
        with frozen(toy.model):
            # Their radius bounds success only: any value gives the same images.
            attack = fab_pt.FABAttack_PT(toy.model, norm=norm, eps=0.1, targeted=True)
            attack.target_class = rank + 1
            adversarial = attack.attack_single_run(images, labels, is_targeted=True)
            theirs.append(size(adversarial - images, norm))
            victim = Victim(toy.model)
            found, distance = fab(victim, images, labels, ranked[half, rank], norm)
        assert victim.backwards == 100 * len(labels)
        assert bool((toy.model(found).argmax(1) != labels)[distance < torch.inf].all())
        own.append(torch.where(distance < torch.inf, distance, 0))
    own, theirs = torch.cat(own), torch.cat(theirs)
    relative = (own - theirs).abs() / theirs.clamp(min=1e-8)
    assert (theirs > 0).float().mean() > 0.9
    # The toy is trained on the processor at hand, and there the rounding of a step may send a trajectory elsewhere:
    # none of 128 on one processor, two on another (of which one found a nearer point than the official code).
    same = relative <= 1e-5
    assert same.float().mean() >= 0.98
    own, theirs = own[same], theirs[same]
    for epsilon in torch.arange(0.03, 0.1, 0.01) if norm == "Linf" else torch.arange(0.5, 1.8, 0.2):
        assert torch.equal((own > 0) & (own <= epsilon), (theirs > 0) & (theirs <= epsilon))


def test_radii_do_not_depend_on_the_batch(toy):
    targets = toy.model(toy.images).sort(1).indices[:, -2]
    with frozen(toy.model):
        _, whole = fab(Victim(toy.model), toy.images, toy.labels, targets, "Linf", 40)
        parts = [
            fab(Victim(toy.model), *(v[i : i + 31] for v in (toy.images, toy.labels, targets)), "Linf", 40)[1]
            for i in range(0, len(toy.labels), 31)
        ]
    same = torch.isclose(torch.cat(parts), whole, rtol=1e-5)
    assert same.float().mean() >= 0.99


def test_stopping_early_keeps_what_is_below_the_stop(toy):
    targets = toy.model(toy.images).sort(1).indices[:, -2]
    with frozen(toy.model):
        full, stopped = Victim(toy.model), Victim(toy.model)
        _, radii = fab(full, toy.images, toy.labels, targets, "Linf", 40)
        stop = radii.median().expand(len(radii)) * 1.0001
        _, early = fab(stopped, toy.images, toy.labels, targets, "Linf", 40, stop)
    assert torch.equal(early <= stop, radii <= stop)
    assert torch.allclose(early[radii > stop], radii[radii > stop], rtol=1e-4)
    assert stopped.forwards < 0.9 * full.forwards


@pytest.mark.slow
def test_outcomes_on_finished_classifiers_are_the_official_ones(attacked):
    """Image by image, over all targets of the standard attack."""
    fab_pt = pytest.importorskip("pyautoattack.fab_pt")
    for one in attacked:
        targets = min(9, int(one.model(one.images[:1]).shape[1]) - 1)
        nearest = torch.full((2, len(one.labels)), torch.inf)
        with frozen(one.model):
            attack = fab_pt.FABAttack_PT(one.model, norm=one.norm, eps=0.1, targeted=True)
            ranked = one.model(one.images).sort(1).indices.flip(1)
            for rank in range(1, targets + 1):
                attack.target_class = rank + 1
                adversarial = attack.attack_single_run(one.images, one.labels, is_targeted=True)
                theirs = size(adversarial - one.images, one.norm)
                _, ours = fab(Victim(one.model), one.images, one.labels, ranked[:, rank], one.norm)
                nearest = nearest.minimum(torch.stack([ours, torch.where(theirs > 0, theirs, torch.inf)]))
        same = torch.isclose(*nearest, rtol=1e-3)
        print(f"{one.job}: {int(same.sum())} of {len(same)} radii agree", end="; ")
        for epsilon in one.epsilons:
            ours, theirs = nearest <= epsilon
            print(f"at {epsilon:.4g}: {int(ours.sum())} and {int(theirs.sum())} fall", end="; ")
            assert int((ours != theirs).sum()) <= 1, (one.job, epsilon)
        print()
        assert same.float().mean() > 0.9
