"""The cascade: nesting, verification, independence of the batch, few classes, flags, the official code."""

import numpy as np
import pytest
import torch
from torch import nn

from robust3d.attacks import autoattack
from robust3d.attacks.apgd import Result
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.params import AutoAttackParams
from robust3d.probes.autoattack.sweep import Keeper

LINF = (0.03, 0.05, 0.07, 0.09)
L2 = (0.5, 0.9, 1.3)


def quick(**settings):
    return AutoAttackParams(**{"epsilons": LINF, "iterations": 15, "square_queries": 60, **settings})


def attack(toy, params, n=40, **rest):
    return evaluate(toy.model, toy.images[:n], toy.labels[:n], params, **rest)


@pytest.mark.parametrize(("norm", "epsilons"), [("Linf", LINF), ("L2", L2)])
def test_nesting(toy, norm, epsilons):
    nested = attack(toy, quick(norm=norm, epsilons=epsilons))
    independent = attack(toy, quick(norm=norm, epsilons=epsilons, nested=False))
    assert 0.9 > nested.robust_accuracy[1] > 0.1
    assert bool((np.diff(nested.robust_accuracy) <= 0).all())
    assert not bool((nested.robust & ~independent.robust).any())  # same draws: nothing survives nesting alone
    assert nested.cost["apgd-ce"].forwards < independent.cost["apgd-ce"].forwards
    single = attack(toy, quick(norm=norm, epsilons=epsilons[1:2]))
    assert np.array_equal(single.robust[:, 0], independent.robust[:, 1])
    for outcomes in (nested, independent):
        limit = np.array(epsilons) * (1 + 1e-6)
        assert bool((np.isnan(outcomes.radius) == outcomes.robust).all())
        assert bool((outcomes.robust | (outcomes.radius <= limit)).all())


def test_every_counted_image_is_verified(toy, monkeypatch):
    """What the cascade books is misclassified by the bare model and as far from the image as it says."""
    seen = []
    bare = autoattack._Cascade._verify

    def spy(self, rows, candidates, epsilon):
        distance = bare(self, rows, candidates, epsilon)
        seen.append((rows, candidates, distance))
        return distance

    monkeypatch.setattr(autoattack._Cascade, "_verify", spy)
    outcomes = attack(toy, quick())
    radii = set()
    for rows, candidates, distance in seen:
        counted = distance < torch.inf
        # Pulling a candidate inside moves it by rounding only.
        delta = (candidates.double() - toy.images[rows].double())[counted].flatten(1).abs().amax(1)
        assert torch.allclose(delta, distance[counted], atol=1e-7)
        assert bool((toy.model(candidates).argmax(1) != toy.labels[rows])[counted].all())
        radii.update(distance[counted].tolist())
    assert set(outcomes.radius[~outcomes.robust].tolist()) <= radii


@pytest.mark.parametrize("epsilon", [0.003, 0.0041])
def test_rounding_does_not_push_corners_out_of_the_ball(linear, epsilon):
    """image + epsilon in fp32 exceeds a small epsilon by more than 1e-6 of it; such images must count."""
    scaled = nn.Sequential(nn.Flatten(), nn.Linear(108, 2)).eval()
    with torch.no_grad():
        scaled[1].weight.copy_(torch.stack((torch.ones(108), -torch.ones(108))))
        # The boundary lies at 0.9 epsilon from the brightest image.
        images = linear.images
        scaled[1].bias.copy_(torch.tensor([-2.0, 0.0]) * (images.flatten(1).sum(1).max() - 0.9 * epsilon * 108))
    labels = scaled(images).argmax(1)
    outcomes = evaluate(scaled, images, labels, quick(epsilons=(epsilon,), attacks=("apgd-ce",)))
    brightest = int(images.flatten(1).sum(1).argmax())
    assert labels[brightest] == 0 and not outcomes.robust[brightest, 0]
    assert outcomes.radius[brightest, 0] <= epsilon * (1 + 1e-6)


@pytest.mark.parametrize("lie", ["clean", "nan", "out of box"])
def test_false_claims_are_not_counted(toy, monkeypatch, lie):
    class Liar(autoattack.OwnBackend):
        def attack(self, name, images, labels, logits, image_ids, epsilon, stop_radius):
            fake = {"clean": images, "nan": images * torch.nan, "out of box": images * 0 + 1.1}[lie]
            return Result(fake.clone(), torch.ones_like(labels, dtype=torch.bool))

    monkeypatch.setattr(autoattack, "OwnBackend", Liar)
    # FAB candidates are not moved into a ball first; one of radius 22 holds images out of the box.
    outcomes = attack(toy, quick(attacks=("fab-t",), norm="L2", epsilons=(0.01, 22.0)))
    assert bool(outcomes.robust.all())


def test_shrinking_counts_down_to_the_nearest_boundary(linear, linear_optimum, monkeypatch):
    """An attack that only knows the largest budget finds the optimal direction there; shrunk, it serves them all."""
    weight = linear.model[1].weight.detach()
    optimum = linear_optimum["Linf"]
    grid = (float(optimum.quantile(0.3)), float(optimum.quantile(0.6)), float(1.1 * optimum.max()))

    class Coarse(autoattack.OwnBackend):
        mixes_epsilons = frozenset()

        def attack(self, name, images, labels, logits, image_ids, epsilon, stop_radius):
            normals = weight[labels][:, None] - weight
            gaps = logits.gather(1, labels[:, None]) - logits
            distance = (gaps / normals.abs().sum(2)).scatter(1, labels[:, None], torch.inf)
            normal = normals[torch.arange(len(labels)), distance.argmin(1)]
            step = -epsilon.float()[:, None] * normal.sign()
            large = epsilon > grid[1] * 1.01
            return Result((images.flatten(1) + step).reshape(images.shape), large)

    monkeypatch.setattr(autoattack, "OwnBackend", Coarse)
    settings = {"attacks": ("apgd-ce",), "epsilons": grid, "sanity_epsilon": grid[-1]}
    plain, shrunk = (attack(linear, quick(**settings, shrink=shrink), n=24) for shrink in (False, True))
    assert plain.robust[:, :2].all() and not plain.robust[:, 2].any()
    reachable = optimum[:, None].numpy() < np.array(grid)
    assert np.array_equal(shrunk.robust, ~reachable) and 0 < reachable[:, 0].sum() < 24
    assert (shrunk.radius[reachable[:, 0], 0] <= grid[0] * (1 + 1e-6)).all()


def test_shrinking_is_off_unless_asked_for_and_breaks_no_less(toy):
    plain, shrunk = (attack(toy, quick(**some)) for some in ({}, {"shrink": True}))
    assert not (shrunk.robust & ~plain.robust).any()


def test_fab_radii_serve_every_epsilon(toy):
    params = quick(attacks=("fab-t",), target_classes=3)
    together = attack(toy, params, n=24)
    for column, epsilon in enumerate(LINF):
        alone = attack(toy, params.model_copy(update={"epsilons": (epsilon,)}), n=24)
        assert np.array_equal(alone.robust[:, 0], together.robust[:, column])
    assert 0 < together.robust.mean() < 1


@pytest.mark.parametrize(("norm", "epsilons"), [("Linf", LINF), ("L2", L2)])
def test_batch_size_changes_nothing(toy, norm, epsilons):
    params = quick(norm=norm, epsilons=epsilons[1:3], target_classes=3, square_queries=30, iterations=10)
    runs = [attack(toy, params.model_copy(update={"batch_size": b}), n=20) for b in (1, 7, 64)]
    assert 0 < runs[0].robust.mean() < 1
    for other in runs[1:]:
        assert np.array_equal(runs[0].robust, other.robust)
        assert np.array_equal(runs[0].broken_by, other.broken_by)
    part = evaluate(toy.model, toy.images[8:20], toy.labels[8:20], params, image_ids=range(8, 20))
    assert np.array_equal(part.robust, runs[0].robust[8:20])


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "square"])
def test_draws_follow_the_image_not_the_batch(toy, monkeypatch, name):
    """The candidates themselves, and with them the random starts, belong to the image, not to its place."""
    bare, found = autoattack._Cascade._verify, {}

    def spy(self, rows, candidates, epsilon):
        found.update({self.ids[row]: candidate for row, candidate in zip(rows.tolist(), candidates)})
        return bare(self, rows, candidates, epsilon)

    monkeypatch.setattr(autoattack._Cascade, "_verify", spy)
    runs = []
    params = quick(attacks=(name,), epsilons=(0.1,), sanity_epsilon=0.1, iterations=5, square_queries=30)
    for ids, batch in ((range(24), 24), (range(8, 24), 7), (range(23, 3, -1), 5)):
        found = {}
        rows = list(ids)
        evaluate(
            toy.model,
            toy.images[rows],
            toy.labels[rows],
            params.model_copy(update={"batch_size": batch}),
            rows,
        )
        runs.append(found)
    shared = set(runs[0]) & set(runs[1]) & set(runs[2])
    assert len(shared) >= 5
    for other in runs[1:]:
        same = [bool((runs[0][image] - other[image]).abs().max() < 1e-3) for image in shared]
        assert np.mean(same) > 0.8  # rounding may turn the sign of a gradient near 0


def test_same_seed_same_outcomes(toy):
    a, b = (attack(toy, quick(), n=16).to_frame() for _ in range(2))
    assert a.equals(b)


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_few_classes_and_oblong_images(untrained, classes, norm):
    toy = untrained(classes, n=6, size=(12, 20))
    outcomes = evaluate(toy.model, toy.images, toy.labels, quick(norm=norm, epsilons=(0.001, 0.3)))
    assert outcomes.clean_accuracy == 1
    assert set(outcomes.cost) == {"clean", "apgd-ce", "apgd-t", "fab-t", "square", "sanity"}
    notices = " ".join(outcomes.flags.notices)
    assert f"{classes - 1} target classes" in notices
    assert ("margin" in notices) is (classes < 4)
    if classes == 2:
        assert outcomes.cost["apgd-t"].forwards > 0


def test_one_class_and_wrong_input_are_refused(untrained):
    toy = untrained(3)
    with pytest.raises(ValueError, match="2 outputs"):
        evaluate(lambda x: x.flatten(1)[:, :1], toy.images, toy.labels * 0, quick())
    with pytest.raises(ValueError, match="float32"):
        evaluate(toy.model, (toy.images * 255).to(torch.uint8), toy.labels, quick())
    with pytest.raises(ValueError, match="labels"):
        evaluate(toy.model, toy.images, toy.labels[:-1], quick())
    with pytest.raises(ValueError, match="training mode"):
        evaluate(nn.Sequential(toy.model, nn.Dropout().train()), toy.images, toy.labels, quick())


def test_clean_errors_are_not_robust(toy):
    labels = toy.labels.clone()
    labels[:5] = (labels[:5] + 1) % 10
    outcomes = evaluate(toy.model, toy.images[:20], labels[:20], quick(attacks=("apgd-ce",)))
    frame = outcomes.to_frame()
    assert outcomes.clean_accuracy == 0.75
    assert len(frame) == 20 * len(LINF)
    wrong = frame[~frame["correct"]]
    assert set(wrong["image"]) == set(range(5))
    assert (wrong["broken_by"] == "clean").all() and (wrong["radius"] == 0).all() and not wrong["robust"].any()
    assert frame.groupby("epsilon")["robust"].mean().tolist() == pytest.approx(outcomes.robust_accuracy.tolist())
    assert (frame["radius"].isna() == frame["robust"]).all()
    assert ((frame["broken_by"] == "") == frame["robust"]).all()


def test_leaves_the_model_as_it_was(toy):
    before = {name: value.clone() for name, value in toy.model.state_dict().items()}
    steps = []
    attack(toy, quick(attacks=("apgd-ce", "fab-t")), n=10, progress=lambda *step: steps.append(step))
    assert all(p.requires_grad and p.grad is None for p in toy.model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in toy.model.state_dict().items())
    assert [step[0] for step in steps if step[0] == "fab-t"] == ["fab-t"]
    assert all(done <= total for _, _, done, total in steps)


def test_nothing_survives_the_sanity_radius(toy):
    outcomes = attack(toy, quick(epsilons=(0.01,), attacks=("apgd-ce",)))
    assert outcomes.robust_accuracy[0] > 0.5
    assert outcomes.sanity_epsilon == 0.5 and outcomes.sanity_accuracy == 0
    given = attack(toy, quick(epsilons=(0.01,), attacks=("apgd-ce",), sanity_epsilon=0.012))
    assert given.sanity_epsilon == 0.012 and given.sanity_accuracy > 0.5


def flags(toy, model, **settings):
    return evaluate(model, toy.images[:30], toy.labels[:30], quick(epsilons=(0.08,), **settings))


def test_a_sound_model_raises_no_flag(toy):
    found = flags(toy, toy.model).flags
    assert not (found.randomised or found.probabilities or found.gradient_in_forward or found.square_suspicious)
    assert found.zero_gradients == {} and found.notices == []


def test_flags_of_unsound_models(toy):
    generator = torch.Generator().manual_seed(0)

    def randomised(x):
        return toy.model(x) + 0.01 * torch.randn(len(x), 10, generator=generator)

    def probabilities(x):
        return toy.model(x).softmax(1)

    def adapting(x):
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(toy.model(z).logsumexp(1).sum(), z)
        return toy.model(x - 0.001 * gradient.sign())

    assert flags(toy, randomised, attacks=("apgd-ce",)).flags.randomised
    assert flags(toy, probabilities, attacks=("apgd-ce",)).flags.probabilities
    assert flags(toy, adapting, attacks=("apgd-ce", "square")).flags.gradient_in_forward


def test_masked_gradients_are_given_away(toy):
    """A quantised input has no gradient: only Square breaks it, and APGD fails even at the sanity radius."""

    def quantised(x):
        return toy.model((x * 16).round() / 16 + 0 * x)

    labels = quantised(toy.images).argmax(1)[:30]
    outcomes = evaluate(quantised, toy.images[:30], labels, quick(epsilons=(0.12,), square_queries=300))
    assert outcomes.flags.zero_gradients["apgd-ce"] == 30 and outcomes.flags.zero_gradients["apgd-t"] > 0
    assert outcomes.flags.square_suspicious and outcomes.flags.square_gain > 0.1
    assert (outcomes.broken_by == "square").mean() == pytest.approx(outcomes.flags.square_gain)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_official_backend_gives_the_same_kind_of_outcomes(toy, norm):
    pytest.importorskip("pyautoattack")
    settings = {"norm": norm, "epsilons": (LINF if norm == "Linf" else L2)[:2], "square_queries": 50}
    own = attack(toy, quick(**settings), n=30)
    theirs = attack(toy, quick(**settings, backend="pyautoattack"), n=30)
    assert np.abs(own.robust.sum(0) - theirs.robust.sum(0)).max() <= 2  # 15 iterations are noisier than 100
    assert theirs.cost["fab-t"].backwards > 0 and theirs.sanity_accuracy == 0
    assert list(theirs.to_frame().columns) == list(own.to_frame().columns)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_official_backend_with_few_classes(untrained, classes):
    pytest.importorskip("pyautoattack")
    toy = untrained(classes, n=5)
    params = quick(epsilons=(0.05,), backend="pyautoattack", iterations=5, square_queries=10)
    outcomes = evaluate(toy.model, toy.images, toy.labels, params)
    assert ("left out" in " ".join(outcomes.flags.notices)) is (classes < 4)


def full_comparison(toy, seeds):
    """Whole standard attack, ours against the official one: at most one image of 60 apart per seed."""
    pytest.importorskip("pyautoattack")
    for seed in seeds:
        own, theirs = (
            evaluate(
                toy.model,
                toy.images,
                toy.labels,
                AutoAttackParams(epsilons=(0.05,), seed=seed, backend=backend),
            )
            for backend in ("own", "pyautoattack")
        )
        assert 0.1 < theirs.robust_accuracy[0] < 0.95
        assert abs(int(own.robust.sum()) - int(theirs.robust.sum())) <= 1


@pytest.mark.slow
def test_full_attack_matches_the_official_one(toy32):
    full_comparison(toy32, [0])


@pytest.mark.slow
def test_full_attack_matches_the_official_one_on_more_seeds(toy32):
    full_comparison(toy32, [1, 2])


@pytest.mark.parametrize(("norm", "epsilons"), [("Linf", (4 / 255, 8 / 255, 16 / 255)), ("L2", (0.5, 1.0))])
def test_an_interrupted_sweep_goes_on_to_the_same_outcomes(toy, norm, epsilons):
    params = quick(norm=norm, epsilons=epsilons, batch_size=16, iterations=5, square_queries=20)
    states = []
    whole = evaluate(toy.model, toy.images, toy.labels, params, keep=states.append)
    assert len({state.attack for state in states}) == 4
    for state in (states[0], next(s for s in states if s.attack == "fab-t"), states[-1]):
        again = evaluate(toy.model, toy.images, toy.labels, params, start=state)
        frames = [outcomes.to_frame() for outcomes in (whole, again)]
        assert frames[0].equals(frames[1])
        for name, cost in whole.cost.items():
            assert (cost.forwards, cost.backwards) == (again.cost[name].forwards, again.cost[name].backwards), name
        assert again.flags == whole.flags


def test_a_killed_job_goes_on_from_what_lies_on_disk(toy, tmp_path):
    params = quick(epsilons=(0.03, 0.06), iterations=5, square_queries=10, batch_size=8, target_classes=2)
    keeper = Keeper(tmp_path)

    def killed(state):
        keeper.keep(state)
        if keeper.batches == 5:
            keeper.save()
            raise SystemExit

    with pytest.raises(SystemExit):
        evaluate(toy.model, toy.images[:32], toy.labels[:32], params, keep=killed)
    whole = evaluate(toy.model, toy.images[:32], toy.labels[:32], params)
    again = evaluate(toy.model, toy.images[:32], toy.labels[:32], params, start=Keeper(tmp_path).found())
    assert again.to_frame().equals(whole.to_frame()) and again.flags == whole.flags
    assert again.cost["sanity"].forwards == whole.cost["sanity"].forwards
