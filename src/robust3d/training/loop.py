"""The one training loop: any `Task`, with exact resume and with collapse and NaN reported.

On several devices (`robust3d.training.parallel`) every process runs it; the first one validates and writes.
"""

import math
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from robust3d.errors import STOPPED, UserError
from robust3d.models.encoder import Encoder, seeded_initialisation
from robust3d.progress import ProgressLine
from robust3d.seeds import seed_of, torch_generator
from robust3d.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from robust3d.training.parallel import average_gradients, make_fabric
from robust3d.training.params import LoopParams

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CHECK_EVERY = 16  # steps between two reads of the losses; each read waits for the device


class TrainingError(UserError):
    """A run that cannot continue: its loss is NaN or infinite."""


class Task(ABC):
    """Model, data and loss of a training; the loop owns optimiser, precision, checkpoints and signals.

    Attributes:
        module: everything with weights or buffers that training changes; its state dict is the checkpoint.
        images_per_step: encoder input images per optimiser step and device, for the count of images seen.
    """

    module: nn.Module
    images_per_step: int

    @abstractmethod
    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """One optimiser step's loss and the scalar tensors to log (detached).

        The module is in train mode and on the generator's device; autocast is on if the precision says so.
        All randomness comes from `generator`, seeded by (seed, step), or from seeds that do not depend on earlier
        steps: so a resumed run equals an uninterrupted one.
        """

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Held-out metrics, each with its trivial baseline beside it; the loop sets eval mode and no_grad.

        Must be deterministic: the same weights give the same numbers. Runs without autocast.
        """

    def parts(self) -> list[tuple[nn.Module, float]]:
        """Parts of the module that learn, each with a factor of the learning rate."""
        return [(self.module, 1.0)]

    def collapse(self, validation: dict[str, float]) -> str | None:
        """A message if the validation shows that this run has collapsed, else None."""
        return None

    def score(self, validation: dict[str, float]) -> float:
        """Score for the selection "best": higher is better."""
        raise NotImplementedError(f"{type(self).__name__} names no score, so it cannot select the best step")


class Pretraining(Task):
    """A task whose encoder is kept afterwards.

    Attributes:
        encoder: the part of `module` that is the output.
    """

    encoder: Encoder

    @abstractmethod
    def reconstructions(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Targets and reconstructions of n held-out instances, each uint8 (n, H, W, 3); sets eval mode itself."""

    @contextmanager
    def in_eval_mode(self) -> Iterator[None]:
        """Context with the module in eval mode and without gradients; restores the mode."""
        was_training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.module.train(was_training)


@dataclass
class History:
    """Log of a run; equal for an interrupted and an uninterrupted run."""

    steps: int = 0  # optimiser steps done
    images_seen: int = 0  # encoder input images
    precision: str = "fp32"  # actually used: fp32 on a CPU whatever the parameters say
    selected_step: int = 0  # the step whose weights are the output
    rows: list[dict[str, Any]] = field(default_factory=list)  # per validation: step, training, validation, collapse

    @property
    def selected(self) -> dict[str, Any]:
        """The row of the selected step."""
        return next(row for row in self.rows if row["step"] == self.selected_step)

    @property
    def collapse(self) -> str | None:
        """Message about a collapse at the selected step; None if there is none."""
        return self.selected["collapse"]


def train(
    task: Task, params: LoopParams, seed: int, progress: Path | None = None, fabric: "Fabric | None" = None
) -> History:
    """Train `task.module` in place and leave it in eval mode with the selected step's weights.

    Args:
        task: what to train.
        params: steps, optimiser, validation, precision.
        seed: of every step's generator.
        progress: folder of the checkpoints; a run found there is resumed. None: no checkpoints.
        fabric: device and precision; by default the module's device and the parameters' precision.

    Raises:
        TrainingError: a loss or a validation metric is not a number; names the step.
        UserError: `progress` holds another run's checkpoints.
        SystemExit: code 75 after SIGTERM or SIGINT, with a checkpoint of the last finished step saved in `progress`.
    """
    fabric = fabric or make_fabric(params.precision, next(task.module.parameters()).device)
    run = _Run(task, params, seed, fabric)
    if progress is not None:
        run.restore(progress)
    run.line = ProgressLine(type(task).__name__, run.history.steps, params.steps)
    fabric.barrier()  # all processes have read the checkpoint before the first one writes another
    saved = time.monotonic()
    must_stop = False
    with _stop_requests(active=progress is not None) as stop:
        while run.history.steps < params.steps:
            must_stop = run.advance(stop)
            due = time.monotonic() - saved >= 60 * params.checkpoint_minutes
            if progress is not None and (due or must_stop or run.history.steps == params.steps):
                run.save(progress)
                saved = time.monotonic()
            if must_stop:
                break
        # After the last step too: Snakemake counts a job that got SIGTERM as failed, whatever its outputs.
        if must_stop or stop.is_set():
            run.line.say(f"stopped by a signal; step {run.history.steps} of {params.steps} is saved")
            raise SystemExit(STOPPED)
    return run.finish()


class _Run:
    """The state of one training run: module, optimiser, history, best weights so far."""

    def __init__(self, task: Task, params: LoopParams, seed: int, fabric: "Fabric") -> None:
        self.task, self.params, self.seed, self.fabric = task, params, seed, fabric
        fabric.to_device(task.module)
        self.optimiser = _optimiser(task, params)
        self.history = History(precision="bf16" if fabric._precision.precision == "bf16-mixed" else "fp32")
        self.best: dict[str, Tensor] = {}
        self.best_score: float | None = None
        self.sums: dict[str, list[float]] = {}  # since the last validation: name -> [total, count]
        self.unread: list[dict[str, Tensor]] = []  # the last steps' scalars, still on the device
        self.line = ProgressLine(type(task).__name__, 0, params.steps)

    def advance(self, stop: threading.Event) -> bool:
        """One optimiser step, and a validation if one is due; returns whether any device has got a stop signal."""
        step = self.history.steps
        for group in self.optimiser.param_groups:
            group["lr"] = group["factor"] * learning_rate(self.params, step)
        self.task.module.train()
        share = ("device", self.fabric.global_rank) if self.fabric.global_rank else ()
        # Dropout draws from the global random state, which like the generator must depend on the step alone.
        with self.fabric.autocast(), seeded_initialisation(self.seed, "dropout", step, *share):
            if self.fabric.device.type == "cuda":
                torch.cuda.manual_seed(seed_of(self.seed, "dropout", step, *share))
            generator = torch_generator(self.seed, "step", step, *share, device=self.fabric.device)
            loss, scalars = self.task.loss(step, generator)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        must_stop = average_gradients(self.fabric, self.task.module, stop.is_set())
        self.optimiser.step()
        self.unread.append({"loss": loss.detach(), **scalars})
        self.history.steps += 1
        self.history.images_seen += self.task.images_per_step * self.fabric.world_size
        if len(self.unread) >= CHECK_EVERY or self.line.due():
            self.read_losses()
        if self.line.due():
            self.line.show(self.history.steps, self.means())
        if self.history.steps % self.params.validate_every == 0 or self.history.steps == self.params.steps:
            if self.fabric.is_global_zero:
                self.validate()
            self.fabric.barrier()
        return must_stop

    def read_losses(self) -> None:
        """Move the unread scalars into the sums.

        Raises:
            TrainingError: a loss is NaN or infinite.
        """
        first = self.history.steps - len(self.unread) + 1
        for step, scalars in enumerate(self.unread, first):
            for name, value in scalars.items():
                total = self.sums.setdefault(name, [0.0, 0])
                total[0], total[1] = total[0] + float(value), total[1] + 1
            if not math.isfinite(float(scalars["loss"])):
                raise TrainingError(
                    f"{type(self.task).__name__}: the loss of step {step} is {float(scalars['loss'])}. "
                    f"Lower the learning rate ({self.params.learning_rate}) or change the seed ({self.seed})."
                )
        self.unread = []

    def means(self) -> dict[str, float]:
        """The mean of each logged scalar since the last validation."""
        return {name: total / count for name, (total, count) in self.sums.items()}

    def validate(self) -> None:
        """Add a row to the history, report a collapse, keep the weights if they are the best so far."""
        self.read_losses()
        step = self.history.steps
        self.task.module.eval()
        with torch.no_grad():
            validation = self.task.validate()
        broken = [name for name, value in validation.items() if math.isnan(value)]
        if broken:
            raise TrainingError(f"{type(self.task).__name__}: {', '.join(broken)} is NaN after step {step}.")
        collapse = self.task.collapse(validation)
        row = {"step": step, "training": self.means(), "validation": validation, "collapse": collapse}
        self.history.rows.append(row)
        self.sums = {}
        self.line.say(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in validation.items()))
        if collapse:
            self.line.say(f"COLLAPSED at step {step}: {collapse}")
        if self.params.selection == "last":
            self.history.selected_step = step
        elif self.best_score is None or self.task.score(validation) > self.best_score:
            self.best_score, self.history.selected_step = self.task.score(validation), step
            self.best = {name: value.detach().cpu().clone() for name, value in self.task.module.state_dict().items()}

    def finish(self) -> History:
        """Load the selected weights into the module."""
        if self.best:
            self.task.module.load_state_dict(self.best)
        self.task.module.eval()
        return self.history

    def identity(self) -> dict[str, Any]:
        """Values that a checkpoint must share with this run to be resumed."""
        return {
            "seed": self.seed,
            "world": self.fabric.world_size,
            **self.params.model_dump(mode="json", exclude={"checkpoint_minutes"}),
        }

    def save(self, folder: Path) -> None:
        """Write a checkpoint of everything `restore` needs."""
        self.read_losses()
        if not self.fabric.is_global_zero:
            return
        tensors = {f"module/{name}": value for name, value in self.task.module.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{name}": value for name, value in state.items() if value is not None}
        values = {
            "run": self.identity(),
            "history": asdict(self.history),
            "best_score": self.best_score,
            "sums": self.sums,
        }
        save_checkpoint(folder, Checkpoint(self.history.steps, tensors, values))

    def restore(self, folder: Path) -> None:
        """Resume from the newest valid checkpoint in `folder`, if there is one."""
        checkpoint = load_checkpoint(folder, self.line.say)
        if checkpoint is None:
            return
        if checkpoint.values["run"] != self.identity():
            raise UserError(
                f"{folder} holds the checkpoints of another run: {checkpoint.values['run']}, "
                f"not {self.identity()}. Remove the folder or name another."
            )
        groups: dict[str, dict[str, Tensor]] = {"module": {}, "best": {}, "optimiser": {}}
        for key, value in checkpoint.tensors.items():
            group, name = key.split("/", 1)
            groups[group][name] = value
        self.task.module.load_state_dict(groups["module"])
        self.best, self.best_score = groups["best"], checkpoint.values["best_score"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in groups["optimiser"].items():
            index, name = key.split("/")
            state.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.history = History(**checkpoint.values["history"])
        self.sums = checkpoint.values["sums"]
        self.line.say(f"going on from step {self.history.steps} of {self.params.steps}")


def learning_rate(params: LoopParams, step: int) -> float:
    """The learning rate of a step (from 0): a function of the step alone, so it needs no state."""
    falling = (1 + math.cos(math.pi * step / params.steps)) / 2 if params.schedule == "cosine" else 1.0
    return falling * params.learning_rate * params.decay_factor ** sum(step >= decay for decay in params.decay_steps)


def _optimiser(task: Task, params: LoopParams) -> torch.optim.Optimizer:
    groups = [
        {"params": [weight for weight in part.parameters() if weight.requires_grad], "factor": factor}
        for part, factor in task.parts()
    ]
    if params.optimiser == "adam":
        return torch.optim.Adam(groups, params.learning_rate, params.betas, weight_decay=params.weight_decay)
    return torch.optim.SGD(groups, params.learning_rate, momentum=params.momentum, weight_decay=params.weight_decay)


@contextmanager
def _stop_requests(active: bool) -> Iterator[threading.Event]:
    """Set the event on SIGTERM and SIGINT; a second SIGINT acts as it did before.

    A second SIGTERM does nothing: at a time limit SLURM sends it to the step and srun passes it on again, before the
    current step has ended.
    """
    stop = threading.Event()
    if not active or threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signals: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.getsignal(number) for number in signals}

    def request(number: int, frame: FrameType | None) -> None:
        stop.set()
        if number == signal.SIGINT:
            signal.signal(number, previous[number])

    for number in signals:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        for number in signals:
            signal.signal(number, previous[number])
