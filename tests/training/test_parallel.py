"""Several devices that share a batch: two processes on a CPU do what one does, and stop and go on together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from robust3d.training.loop import Task, train
from robust3d.training.params import ClassifierParams, LoopParams, check_shares

BATCH, STEPS = 8, 30
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import test_parallel, torch
from robust3d.provenance.runner import exit_on_sigterm
from robust3d.training.parallel import launch

if __name__ == "__main__":
    exit_on_sigterm()
    devices, pause_s, progress = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] or None
    state, history = launch(test_parallel.fit, devices, "fp32", devices, progress, pause_s)
    torch.save({"state": state, "images": history.images_seen, "rows": len(history.rows)}, sys.argv[5])
"""


class Regression(Task):
    """A linear map without batch norm, so that shares of a batch average to the whole one exactly."""

    def __init__(self, share: int, shares: int, pause_s: float = 0.0, progress: str | None = None) -> None:
        torch.manual_seed(0)
        self.progress = progress
        self.module = nn.Linear(5, 3)
        self.x, self.y = torch.randn(64, 5), torch.randn(64, 3)
        self.images_per_step, self.pause_s = BATCH // shares, pause_s
        self.share, self.shares = share, shares

    def loss(self, step, generator):
        time.sleep(self.pause_s)
        if self.progress and step == 2:
            Path(self.progress, f"began-{self.share}").touch()
        rows = torch.arange(step * BATCH, (step + 1) * BATCH)[self.share :: self.shares] % len(self.x)
        return (self.module(self.x[rows]) - self.y[rows]).square().mean(), {}

    def validate(self):
        return {"mse": float((self.module(self.x) - self.y).square().mean())}


def fit(fabric, devices: int, progress: str | None, pause_s: float):
    task = Regression(fabric.global_rank, fabric.world_size, pause_s, progress)
    params = LoopParams(steps=STEPS, learning_rate=0.05, optimiser="sgd", validate_every=10, devices=devices)
    history = train(task, params, 0, Path(progress) if progress else None, fabric)
    return {name: value.clone() for name, value in task.module.state_dict().items()}, history


@pytest.fixture
def run(tmp_path):
    """Starts a training in a program of its own, as jobs do; its processes need a main module to import."""
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)

    def start(devices: int, end: Path, pause_s: float = 0.0, progress: Path | None = None) -> subprocess.Popen:
        words = [str(Path(__file__).parent), str(devices), str(pause_s), str(progress or ""), str(end)]
        return subprocess.Popen([sys.executable, str(script), *words], env=os.environ | {"OMP_NUM_THREADS": "1"})

    return start


@pytest.mark.slow
def test_two_devices_learn_what_one_does_and_a_stopped_pair_goes_on(run, tmp_path):
    ends = {name: tmp_path / f"{name}.pt" for name in ("one", "two", "resumed")}
    assert run(1, ends["one"]).wait() == 0 and run(2, ends["two"]).wait() == 0
    stopped = run(2, ends["resumed"], 0.5, tmp_path)
    while len(list(tmp_path.glob("began-*"))) < 2:
        assert stopped.poll() is None
        time.sleep(0.2)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(timeout=60) == 75
    assert list(tmp_path.glob("step-*.json"))
    assert run(2, ends["resumed"], 0.0, tmp_path).wait() == 0
    one, two, resumed = (torch.load(end, weights_only=True) for end in ends.values())
    for name, value in one["state"].items():
        assert torch.allclose(value, two["state"][name], atol=1e-6), name
        assert torch.equal(two["state"][name], resumed["state"][name]), name
    assert not torch.allclose(one["state"]["weight"], Regression(0, 1).module.weight, atol=1e-2)  # it has learned
    assert one["images"] == two["images"] == resumed["images"] == BATCH * STEPS
    assert one["rows"] == two["rows"] == resumed["rows"] == 3


def test_a_batch_that_cannot_be_shared_is_refused():
    check_shares(50, 5)
    check_shares(1, 1)
    for batch, devices in ((50, 3), (2, 2)):
        with pytest.raises(ValueError, match=f"{devices} devices cannot share a batch of {batch}"):
            check_shares(batch, devices)
    with pytest.raises(ValueError, match="devices: 4 devices"):
        ClassifierParams(batch_size=50, devices=4)
