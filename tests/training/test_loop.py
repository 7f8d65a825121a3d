import copy
import multiprocessing
import os
import signal
import sys

import pytest
import torch
from torch import nn

from robust3d.errors import UserError
from robust3d.models.encoder import seeded_initialisation
from robust3d.seeds import torch_generator
from robust3d.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from robust3d.training.loop import STOPPED, Task, TrainingError, learning_rate, train
from robust3d.training.params import LoopParams

torch.set_num_threads(1)


class Toy(Task):
    """A small net with batch norm that learns to denoise noise it draws itself."""

    images_per_step = 8

    def __init__(self, disturb=None):
        with seeded_initialisation(3):
            self.module = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 6))
            self.unused = self.module.append(nn.ModuleDict({"unused": nn.Linear(2, 2)}))[-1]
        self.module.forward = self.forward
        self.disturb = disturb or {}  # step -> what to do there

    def forward(self, x):
        for layer in list(self.module)[:4]:
            x = layer(x)
        return x

    def loss(self, step, generator):
        assert self.module.training
        x = torch.randn(8, 6, generator=generator)
        loss = (self.module(x + 0.1) - x).square().mean()
        if step in self.disturb:
            loss = self.disturb[step](loss)
        return loss, {"size": x.abs().mean()}

    def validate(self):
        assert not self.module.training and not torch.is_grad_enabled()
        x = torch.randn(32, 6, generator=torch_generator("validation"))
        return {"error": float((self.module(x) - x).square().mean()), "zero_error": float(x.square().mean())}

    def score(self, validation):
        return validation["error"]  # so that an early step is the best


def params(**changes):
    values = {"steps": 60, "learning_rate": 1e-2, "validate_every": 7, "decay_steps": (20, 40)} | changes
    return LoopParams(**values)


def weights(task):
    return {name: value.numpy().tobytes() for name, value in task.module.state_dict().items()}


def terminate(loss):
    os.kill(os.getpid(), signal.SIGTERM)
    return loss


def kill(loss):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("selection", ["last", "best"])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, optimiser, selection):
    settings = params(optimiser=optimiser, selection=selection, weight_decay=1e-3)
    whole = Toy()
    history = train(whole, settings, seed=5)

    # 17: between two looks at the losses; 59: in the last step. A stop falls before and after validations.
    for step in (3, 17, 40, 59):
        with pytest.raises(SystemExit) as stopped:
            train(Toy({step: terminate}), settings, 5, tmp_path)
        assert stopped.value.code == STOPPED
    parts = Toy()
    resumed = train(parts, settings, 5, tmp_path)

    assert weights(parts) == weights(whole)
    assert resumed == history
    assert history.images_seen == 60 * 8 and [row["step"] for row in history.rows][-2:] == [56, 60]


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    settings = params(checkpoint_minutes=0)
    whole = Toy()
    history = train(whole, settings, seed=5)

    child = multiprocessing.get_context("fork").Process(target=train, args=(Toy({33: kill}), settings, 5, tmp_path))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    parts = Toy()
    seen = []
    parts.disturb = {step: lambda loss, step=step: seen.append(step) or loss for step in range(60)}
    assert train(parts, settings, 5, tmp_path) == history
    assert weights(parts) == weights(whole)
    assert seen[0] == 33  # nothing saved was done again


def test_a_second_signal_acts_at_once(tmp_path):
    def interrupt_twice(loss):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return loss

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            train(Toy({3: interrupt_twice}), params(), 5, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_sigterm_waits_for_the_step_border(tmp_path):
    """SLURM signals the step, and srun passes it on again."""

    def terminate_twice(loss):
        return terminate(terminate(loss))

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the runner does
    try:
        with pytest.raises(SystemExit) as stopped:
            train(Toy({3: terminate_twice}), params(), 5, tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.value.code == STOPPED
    assert [path.stem for path in tmp_path.glob("step-*.json")] == ["step-000000004"]


def test_signal_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):
        train(Toy({3: terminate}), params(), 5, tmp_path)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_finished_run_is_not_repeated(tmp_path):
    first = Toy()
    history = train(first, params(), 5, tmp_path)
    again = Toy({step: lambda loss: pytest.fail("trained again") for step in range(60)})
    assert train(again, params(), 5, tmp_path) == history
    assert weights(again) == weights(first)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_damaged_checkpoint_falls_back_to_the_older(tmp_path, capsys, suffix):
    whole = Toy()
    history = train(whole, params(), 5)
    with pytest.raises(SystemExit):
        train(Toy({30: terminate}), params(checkpoint_minutes=0), 5, tmp_path)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [f"step-{n:09d}{s}" for n in (30, 31) for s in (".json", ".safetensors")]

    newest = tmp_path / f"step-000000031{suffix}"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    parts = Toy()
    assert train(parts, params(), 5, tmp_path) == history
    assert weights(parts) == weights(whole)
    assert "step-000000031.json is damaged" in capsys.readouterr().err


def test_half_written_files_are_not_read_and_are_cleared(tmp_path):
    save_checkpoint(tmp_path, Checkpoint(1, {"a": torch.ones(2)}, {"x": 1.5}))
    (tmp_path / "step-000000009.safetensors").write_bytes(b"tensors without their JSON")
    (tmp_path / ".partial-123-step-000000002.json").write_bytes(b"{")
    (tmp_path / "owner").write_text("not ours")
    found = load_checkpoint(tmp_path, pytest.fail)
    assert found.step == 1 and found.values == {"x": 1.5} and torch.equal(found.tensors["a"], torch.ones(2))
    save_checkpoint(tmp_path, Checkpoint(2, {}, {}))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "owner",
        *(f"step-{n:09d}{s}" for n in (1, 2) for s in (".json", ".safetensors")),
    ]


def test_checkpoints_of_another_run_are_refused(tmp_path):
    train(Toy(), params(), 5, tmp_path)
    with pytest.raises(UserError, match="another run"):
        train(Toy(), params(), 6, tmp_path)
    with pytest.raises(UserError, match="another run"):
        train(Toy(), params(learning_rate=2e-2), 5, tmp_path)


def test_equals_a_hand_written_loop():
    task, settings = Toy(), params(steps=25, weight_decay=0.01)
    model = copy.deepcopy(task.module)
    history = train(task, settings, seed=9)

    layers = list(model)[:4]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [20, 40], gamma=0.1)
    losses = []
    for step in range(25):
        x = torch.randn(8, 6, generator=torch_generator(9, "step", step))
        loss = (nn.Sequential(*layers)(x + 0.1) - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    for name, value in model.state_dict().items():
        assert torch.equal(value, task.module.state_dict()[name]), name
    assert history.rows[1]["training"]["loss"] == pytest.approx(sum(losses[7:14]) / 7, rel=1e-12)


def test_learning_rate_steps_like_torchs_scheduler():
    settings = params(decay_steps=(2, 5), decay_factor=0.5, learning_rate=0.8)
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.8)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2, 5], gamma=0.5)
    for step in range(8):
        assert learning_rate(settings, step) == pytest.approx(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()


def test_loss_that_is_not_a_number_stops_and_names_its_step():
    with pytest.raises(TrainingError, match="loss of step 12 is nan"):
        train(Toy({11: lambda loss: loss * float("nan")}), params(), 5)
    with pytest.raises(TrainingError, match="loss of step 3 is inf"):
        train(Toy({2: lambda loss: loss * float("inf")}), params(), 5)


def test_no_checkpoint_is_written_after_a_broken_loss(tmp_path):
    with pytest.raises(TrainingError):
        train(Toy({11: lambda loss: loss * float("nan")}), params(checkpoint_minutes=0), 5, tmp_path)
    assert load_checkpoint(tmp_path, pytest.fail).step == 11


def test_collapse_is_recorded_and_said(capsys):
    task = Toy()
    task.collapse = lambda validation: "all is zero" if validation["error"] < 10 else None
    history = train(task, params(), 5)
    assert history.collapse == "all is zero"
    assert "COLLAPSED at step 60: all is zero" in capsys.readouterr().err
    assert train(Toy(), params(), 5).collapse is None


def test_best_hands_on_the_weights_of_the_best_validation():
    class Wobbling(Toy):
        def score(self, validation):
            return -abs(validation["error"] - self.target)

    plain = Toy()
    rows = train(plain, params(), 5).rows
    third = rows[2]["validation"]["error"]
    task = Wobbling()
    task.target = third
    history = train(task, params(selection="best"), 5)
    assert history.selected_step == rows[2]["step"] == 21
    task.module.eval()
    with torch.no_grad():
        assert task.validate()["error"] == third
    assert weights(task) != weights(plain)


def test_global_random_state_is_untouched_and_cpu_is_fp32():
    state = torch.get_rng_state()
    history = train(Toy(), params(precision="bf16"), 5)
    assert torch.equal(torch.get_rng_state(), state)
    assert history.precision == "fp32"
