import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from robust3d.attacks.params import PgdParams
from robust3d.data.volumes import VoxelData
from robust3d.errors import UserError
from robust3d.models.introspective.network import IntrospectiveNetwork
from robust3d.models.introspective.params import NetworkParams, SynthesisParams
from robust3d.training.introspection.params import VoxelTrainingParams
from robust3d.training.introspection.pool import Block, Pool, to_bytes
from robust3d.training.introspection.synthesis import make_task
from robust3d.training.introspection.tasks import training_mean
from robust3d.training.loop import train

torch.set_num_threads(1)
R = 16
CLASSES = ("floor", "wall", "pole")


def shapes(count, seed=0, split="train"):
    """A plate at the bottom, a plate at the side, a column: three classes that a small network learns soon."""
    draw = np.random.default_rng(seed)
    volumes, labels = np.zeros((count, R, R, R), bool), np.arange(count) % 3
    for volume, label in zip(volumes, labels):
        low, high = draw.integers(0, 5), draw.integers(10, 16)
        if label == 0:
            volume[low:high, low:high, low] = True
        elif label == 1:
            volume[low, low:high, low:high] = True
        else:
            volume[7:9, 7:9, low:high] = True
    return VoxelData.of(volumes, labels, CLASSES, split)


def params(**changes):
    values = {
        "network": NetworkParams(resolution=R, width=0.125),
        "batch": 8,
        "learning_rate": 1e-3,
        "iterations": 4,
        "cascades": 2,
        "critic_steps": 3,
        "synthesis": SynthesisParams(learning_rate=0.05, beta1=0.0, beta2=0.9, max_steps=4),
        "synthesis_batch": 4,
        "synthesised": 6,
        "initial": 9,
        "validations": 3,
    }
    return VoxelTrainingParams(**values | changes)


UNSUPERVISED = {"supervised": False, "synthesis": SynthesisParams(learning_rate=0.05, step_bound=0.05, max_steps=4)}


def run(folder, settings, disturb=None, progress=False):
    task = make_task(shapes(30), shapes(12, 1, "val"), settings, folder / "negatives")
    if disturb:
        usual = task.loss

        def loss(step, generator):
            found = usual(step, generator)
            if step == disturb[0]:
                disturb[1]()
            return found

        task.loss = loss
    history = train(task, settings.loop, settings.seed, folder / "run" if progress else None)
    if settings.synthesises:
        task.finish()
    return task, history


def everything(task):
    files = {path.name: path.read_bytes() for path in sorted(task.pool.folder.iterdir())}
    return files, {name: value.numpy().tobytes() for name, value in task.module.state_dict().items()}


@pytest.mark.parametrize(
    "changes", [{}, pytest.param(UNSUPERVISED, marks=pytest.mark.slow)], ids=["supervised", "unsupervised"]
)
def test_interrupted_and_resumed_gives_the_same_bytes(tmp_path, changes):
    settings = params(**changes)
    whole, history = run(tmp_path / "whole", settings)
    for step in (4, 6, 11):  # inside an iteration, where one begins, in the last step
        with pytest.raises(SystemExit):
            run(tmp_path / "parts", settings, (step, lambda: os.kill(os.getpid(), signal.SIGTERM)), True)
    parts, resumed = run(tmp_path / "parts", settings, progress=True)
    assert resumed == history and everything(parts) == everything(whole)


def test_killed_after_a_synthesis_that_no_checkpoint_knows(tmp_path):
    settings = params()
    whole, _ = run(tmp_path / "whole", settings)

    def crash():
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        run(tmp_path / "parts", settings, (7, crash), True)  # no checkpoint yet, and blocks of iterations 0 to 2
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts/negatives").iterdir()}
    parts, _ = run(tmp_path / "parts", settings, progress=True)
    assert everything(parts) == everything(whole)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts/negatives").iterdir()}
    assert made.items() <= kept.items()  # they were taken, not made again


def test_blocks_of_other_weights_are_made_again(tmp_path):
    first, _ = run(tmp_path, params(seed=1))
    second, _ = run(tmp_path, params(seed=2))
    fresh, _ = run(tmp_path / "fresh", params(seed=2))
    assert everything(second) == everything(fresh) and everything(first)[1] != everything(second)[1]


def test_a_lost_block_is_one_message(tmp_path):
    settings = params()
    with pytest.raises(SystemExit):
        run(tmp_path, settings, (7, lambda: os.kill(os.getpid(), signal.SIGTERM)), True)
    (tmp_path / "negatives/00001-0000.json").unlink()
    with pytest.raises(UserError, match=r"00001-0000\.json.*begin anew"):
        run(tmp_path, settings, progress=True)


def test_the_pool_grows_by_the_stated_blocks(tmp_path):
    task, _ = run(tmp_path, params(synthesised_last=10))
    sizes = {}
    for block in task.pool.blocks:
        sizes[block.iteration] = sizes.get(block.iteration, 0) + len(block.labels)
    assert sizes == {0: 9, 1: 6, 2: 10, 3: 6, 4: 10}  # the last of each of two cascades is larger
    assert {len(block.labels) for block in task.pool.blocks} <= {1, 2, 4}
    assert all(set(np.unique(task.pool.labels(task.pool.numbers(range(i, i + 1))))) == {0, 1, 2} for i in range(5))


def test_later_cascades_start_from_the_last_one_and_of_the_same_class(tmp_path):
    task, _ = run(tmp_path, params())
    labels = np.arange(6) % 3
    assert (task._starts(1, labels) == -1).all() and (task._starts(2, labels) == -1).all()
    for iteration in (3, 4):
        starts = task._starts(iteration, labels)
        assert set(starts) <= set(task.pool.numbers(range(2, 3))) and len(set(starts)) == 6
        assert (task.pool.labels(starts) == labels).all()
    afresh, _ = run(tmp_path / "afresh", params(start="noise"))
    assert (afresh._starts(4, labels) == -1).all()


def test_a_synthesis_from_earlier_samples_begins_there(tmp_path):
    """With steps of almost no length the second cascade's samples are those of the first."""
    still = SynthesisParams(learning_rate=1e-6, beta1=0.0, beta2=0.9, max_steps=1)
    task, _ = run(tmp_path, params(synthesis=still))
    first, last = (task.pool.volumes(task.pool.numbers(range(i, i + 1))) for i in (2, 4))
    apart = torch.cdist(first.flatten(1), last.flatten(1))
    assert apart.amin(1).max() < 0.3  # a step of a byte is 1/255


def test_negatives_have_the_class_of_the_real_volumes(tmp_path, monkeypatch):
    task, _ = run(tmp_path, params())
    asked = []
    monkeypatch.setattr(task.pool, "volumes", lambda numbers: asked.append(numbers) or torch.zeros(len(numbers)))
    labels = torch.tensor([2, 0, 1, 1] * 50)
    task.negatives(labels, torch.Generator().manual_seed(0))
    assert (task.pool.labels(asked[0]) == labels.numpy()).all()
    drawn = {task.pool.blocks[task.pool._places[number, 0]].iteration for number in asked[0]}
    assert drawn == {0, 1, 2, 3, 4}  # older ones are used again
    newest, _ = run(tmp_path / "newest", params(reuse_older=False))
    monkeypatch.setattr(newest.pool, "volumes", lambda numbers: asked.append(numbers) or torch.zeros(len(numbers)))
    newest.negatives(labels, torch.Generator().manual_seed(0))
    assert {newest.pool.blocks[newest.pool._places[number, 0]].iteration for number in asked[1]} == {4}


def test_thresholds_lie_in_the_range_of_real_scores(tmp_path):
    settings, ranges = params(), []
    task = make_task(shapes(30), shapes(12, 1, "val"), settings, tmp_path)
    usual = task.grow
    task.grow = lambda iteration: (ranges.append(task.module.score_range.tolist()), usual(iteration))
    train(task, settings.loop, 0)
    for block in task.pool.blocks:
        if block.iteration:
            low, high = ranges[block.iteration]
            assert low <= block.threshold <= high
            assert block.reached == (np.mean(block.scores) >= block.threshold) and block.steps <= 4
    assert task.module.score_range[0] <= task.module.score_range[1]


def test_thresholds_are_of_the_last_critic_pass(tmp_path):
    """The range is that of the real scores in the last third of an iteration's steps, which the log has."""
    settings, ranges, scores = params(critic_steps=5, critic_passes=3), [], []
    task = make_task(shapes(30), shapes(12, 1, "val"), settings, tmp_path)
    grow, loss = task.grow, task.loss
    task.grow = lambda iteration: (ranges.append(task.module.score_range.tolist()), grow(iteration))

    def watched(step, generator):
        found = loss(step, generator)
        scores.append(float(found[1]["real_score"]))
        return found

    task.loss = watched
    train(task, settings.loop, 0)
    for iteration, (low, high) in enumerate(ranges[1:]):
        last = scores[5 * iteration + 3 : 5 * iteration + 5]  # two of five steps
        assert (low, high) == pytest.approx((min(last), max(last)))
    assert [step for step in range(10) if params(critic_steps=5, critic_passes=1).sets_threshold(step)] == [*range(10)]


def test_a_score_that_noise_has_too_is_noticed(tmp_path):
    task, history = run(tmp_path, params())
    assert set(history.selected["validation"]) >= {"real_score", "negative_score", "noise_score", "accuracy"}
    assert task.notices({"real_score": 1.0, "noise_score": 0.5}) == []
    (notice,) = task.notices({"real_score": 0.5, "noise_score": 1.0})
    assert "noise scores 1 and held-out shapes 0.5" in notice


def filled_alike(volumes, others):
    """For each volume the largest intersection over union with any of the others."""
    a, b = ((one.reshape(len(one), -1) > 0.5).float() for one in (volumes, others))
    both = a @ b.T
    return (both / (a.sum(1)[:, None] + b.sum(1) - both).clamp(min=1)).amax(1)


@pytest.mark.slow
@pytest.mark.parametrize(("supervised", "iterations"), [(True, 12), (False, 30)])
def test_pseudo_negatives_become_shapes(tmp_path, supervised, iterations):
    """Of plates they come to fill what plates fill; noise, cut in the same way, does not."""
    synthesis = SynthesisParams(learning_rate=0.02, beta1=0.8 * (not supervised), beta2=0.9 * supervised, max_steps=50)
    settings = params(
        supervised=supervised, synthesis=synthesis, mean_of="training_set", batch=16, learning_rate=3e-3,
        iterations=iterations, cascades=2, critic_steps=20, synthesised=8, synthesis_batch=8,
    )  # fmt: skip
    task, history = run(tmp_path, settings)
    real = shapes(30).volumes()[:, 0]
    of = [filled_alike(task.pool.volumes(task.pool.numbers(range(i, i + 1)))[:, 0], real) for i in (0, iterations)]
    assert float(of[1].mean()) > 2 * float(of[0].mean())
    assert history.selected["validation"]["noise_score"] < history.selected["validation"]["real_score"]


def test_the_loss_is_equation_3(tmp_path):
    """Against the terms computed by hand from the parts, for both readings of lambda."""
    for reading, scale in (("beside_alpha", 1.0), ("times_alpha", 0.01)):
        settings = params(alpha=0.01, penalty_reading=reading, mean_of="training_set", negatives="noise", steps=1)
        task = make_task(shapes(30), shapes(12, 1, "val"), settings, tmp_path)
        loss, scalars = task.loss(0, torch.Generator().manual_seed(3))
        network, draws = task.classifier.network, torch.Generator().manual_seed(3)
        real, labels = task.real_batch(0)
        real, noise = real - task.classifier.mean, torch.randn(real.shape, generator=draws) - task.classifier.mean
        rows = torch.arange(len(labels))
        real_score, fake_score = (network(x)[rows, labels] for x in (real, noise))
        share = torch.rand(len(real), generator=draws).reshape(-1, 1, 1, 1, 1)
        between = (share * real + (1 - share) * noise).requires_grad_()
        gradients = torch.autograd.grad(network(between)[rows, labels].sum(), between)[0]
        penalty = ((gradients.square().sum((1, 2, 3, 4)).sqrt() - 1) ** 2).mean()
        likelihood = torch.stack([network(real).log_softmax(1)[row, label] for row, label in enumerate(labels)])
        expected = -likelihood.mean() + 0.01 * (fake_score.mean() - real_score.mean()) + scale * 10 * penalty
        assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
        assert float(scalars["negative_score"]) == pytest.approx(float(fake_score.mean().detach()), rel=1e-5)


@pytest.mark.parametrize("kind", ["scalar", "voxel"])
def test_what_mean_is_subtracted(tmp_path, kind):
    real, fake = torch.rand(4, 1, R, R, R) + 1, torch.rand(4, 1, R, R, R) - 3
    axes = (0, 1, 2, 3, 4) if kind == "scalar" else (0,)
    for mean_of, joint in (("batch", True), ("halves", False)):
        task = make_task(shapes(9), shapes(3, 1, "val"), params(mean=kind, mean_of=mean_of), tmp_path)
        centred = task.centred(real, fake)
        ours = [torch.cat(centred)] if joint else centred
        for volumes in ours:
            torch.testing.assert_close(volumes.mean(axes), torch.zeros_like(volumes.mean(axes)), atol=1e-5, rtol=0)
        whole = torch.cat(centred) + (torch.cat([real, fake]).mean(axes) if joint else 0)
        if joint:
            torch.testing.assert_close(whole, torch.cat([real, fake]), atol=1e-5, rtol=0)
    data = shapes(9)
    plain = data.volumes().float().mean((0, 1, 2, 3, 4) if kind == "scalar" else (0,))
    torch.testing.assert_close(training_mean(data, kind), plain)


def test_all_trainings_learn_and_have_equal_passes(tmp_path):
    paper = params(learning_rate=5e-3, iterations=20, validations=1, synthesised=3, penalty=0.1)
    others = {
        "baseline": {"objective": "cross_entropy"},
        "pgd": {"objective": "pgd", "attack": PgdParams(epsilon=0.02, step_size=0.01, steps=2)},
        "noise": {"negatives": "noise"},
        "none": {"negatives": "none"},
    }
    for name, changes in {"paper": {}, **others}.items():
        settings = paper.model_copy(update=changes).with_passes(paper.passes)
        assert settings.passes == pytest.approx(paper.passes, rel=0.02), name
        _, history = run(tmp_path / name, settings)
        assert history.selected["validation"]["accuracy"] > 0.9, name
        assert history.collapse is None or "samples" in history.collapse
        if name == "paper":
            assert history.selected["validation"]["noise_score"] < history.selected["validation"]["real_score"]


def test_passes_by_hand():
    # a step: 4 real and 4 negative volumes, three passes each, and six of the penalty for each pair
    settings = params()
    assert settings.step_passes == 3 * 4 + 3 * 4 + 6 * 4
    assert settings.passes == 12 * 48 + 4 * 6 * 2 * 4  # twelve steps; four times six volumes, four steps of two passes
    assert params(objective="cross_entropy").step_passes == 24
    assert params(objective="pgd", attack=PgdParams(steps=7)).step_passes == (14 + 1 + 3) * 8
    assert params(negatives="none").step_passes == (3 + 6) * 8


def test_bytes_and_back(tmp_path):
    pool, volumes = Pool(tmp_path), torch.rand(5, 4, 4, 4) * 3 - 1
    values, low, high = to_bytes(volumes, None)
    assert values.dtype == np.uint8 and (low, high) == (float(volumes.min()), float(volumes.max()))
    block = Block(iteration=0, number=0, labels=(0,) * 5, low=low, high=high, weights="a")
    pool.write(block, values)
    pool.add(block)
    found = pool.volumes(np.array([4, 0, 4]))
    assert found.shape == (3, 1, 4, 4, 4)
    assert float((found[:, 0] - volumes[[4, 0, 4]]).abs().max()) <= (high - low) / 255 / 2 + 1e-6
    binary = to_bytes(torch.tensor([0.0, 1.0, 2.0, -1.0]).reshape(4, 1, 1, 1), (0.0, 1.0))[0]
    assert binary.flatten().tolist() == [0, 255, 255, 0]
    assert to_bytes(torch.zeros(1, 1, 1, 1), None)[0].item() == 0


def test_a_batch_reads_its_own_bytes_alone(tmp_path, monkeypatch):
    """The pool's files are mapped, never read whole."""
    pool = Pool(tmp_path)
    for number in range(3):
        values, low, high = to_bytes(torch.rand(4, 4, 4, 4), (0.0, 1.0))
        pool.write(block := Block(0, number, (0,) * 4, low, high, "a"), values)
        pool.add(block)
    opened = []
    usual = np.load
    monkeypatch.setattr(np, "load", lambda path, **how: opened.append((path.name, how)) or usual(path, **how))
    pool.volumes(np.array([5, 6]))
    assert opened == [("00000-0001.npy", {"mmap_mode": "r"})]


def test_bad_data_is_one_message(tmp_path):
    good, held_out = shapes(30), shapes(6, 1, "val")
    with pytest.raises(UserError, match=r"network\.resolution: 32, but the volumes have 16"):
        make_task(good, held_out, params(network=NetworkParams(width=0.1)), tmp_path)
    with pytest.raises(UserError, match="nothing to train on of sofa"):
        make_task(replace(good, classes=(*CLASSES, "sofa")), held_out, params(), tmp_path)
    with pytest.raises(UserError, match="0 to validate on"):
        make_task(good, held_out.chosen(np.zeros(0, np.int64)), params(), tmp_path)
    with pytest.raises(UserError, match="2 negatives cannot have each of 3 classes"):
        make_task(good, held_out, params(synthesised=2), tmp_path)
    for wrong in ({"batch": 7}, {"iterations": 5}, {"steps": 3}, {"supervised": False, "objective": "pgd"}):
        with pytest.raises(ValidationError):
            params(**wrong)


def test_a_generator_that_collapsed_says_so(tmp_path):
    task, _ = run(tmp_path, params(**UNSUPERVISED))
    validation = task.validate()
    alike = task.collapse({**validation, "spread": 0.0, "filled": 0.1})
    empty = task.collapse({**validation, "spread": 1.0, "filled": 0.0})
    assert "alike" in alike and "0.0% of the voxels" in empty
    assert task.collapse({**validation, "spread": 0.1, "filled": 0.1}) is None


def test_joint_models_have_one_output_and_need_no_labels(tmp_path):
    task, history = run(tmp_path, params(**UNSUPERVISED))
    assert isinstance(task.classifier.network, IntrospectiveNetwork) and task.classifier.network.outputs == 1
    assert set(history.selected["validation"]) >= {"real_score", "negative_score", "noise_score", "spread"}
