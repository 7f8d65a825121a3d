"""One training on several devices of one node: each takes its share of every batch, gradients are averaged.

With one device this module only makes the fabric. With more, each batch norm sees its device's share only, so the
number of devices changes the result and is a key of the study.
"""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessExitedException

from robust3d.errors import STOPPED, UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Precision = Literal["fp32", "bf16"]


def make_fabric(precision: Precision = "fp32", device: torch.device | str | None = None, devices: int = 1) -> "Fabric":
    """A Fabric on CUDA if there is a GPU; TF32 is off, a CPU always computes in fp32.

    Raises:
        UserError: fewer GPUs than asked for.
    """
    from lightning_fabric import Fabric  # it and torchvision import torch's compiler, which takes over a second
    from lightning_fabric.plugins.environments import LightningEnvironment

    kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if kind.type == "cuda" and torch.cuda.device_count() < devices:
        raise UserError(f"devices: {devices} GPUs asked for, this node shows {torch.cuda.device_count()}")
    one = [kind.index or 0] if kind.type == "cuda" else 1
    return Fabric(
        accelerator=kind.type,
        devices=one if devices == 1 else devices,
        strategy="auto" if devices == 1 else "ddp_spawn",
        precision="bf16-mixed" if precision == "bf16" and kind.type == "cuda" else "32-true",
        plugins=[LightningEnvironment()],  # only processes that we start, also where SLURM's variables announce several
    )


def launch(function: Callable[..., Any], devices: int, precision: Precision, *arguments: Any) -> Any:
    """Call ``function(fabric, *arguments)`` in one process per device; returns the first one's result.

    Args:
        function: defined in a module, so that a new process can import it.
        devices: how many; GPUs, or processes where there is none.
        precision: of the fabric.
        arguments: plain values.

    Raises:
        SystemExit: 75 if the processes got SIGTERM and have saved a checkpoint.
    """
    fabric = make_fabric(precision, devices=devices)
    if devices == 1:
        return function(fabric, *arguments)
    received: list[int] = []

    def forward_signal(number: int, _: Any) -> None:
        received.append(number)
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, number)

    previous = signal.signal(signal.SIGTERM, forward_signal)
    try:
        return pickle.loads(fabric.launch(_answer, function, *arguments))  # type: ignore[arg-type]
    except ProcessExitedException:
        if received:  # a process that has not started to train ends without a message; nothing is lost
            raise SystemExit(STOPPED) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _answer(fabric: "Fabric", function: Callable[..., Any], *arguments: Any) -> bytes:
    """Pickle the result: a tensor would be passed in shared memory, which ends with its process."""
    return pickle.dumps(function(fabric, *arguments))


def average_gradients(fabric: "Fabric", module: nn.Module, flag: bool) -> bool:
    """Average the gradients over the devices, with a flag in the same message; returns whether any device set it."""
    if fabric.world_size == 1:
        return flag
    gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
    message = torch.cat([gradient.flatten() for gradient in gradients] + [gradients[0].new_tensor([float(flag)])])
    mean: Tensor = fabric.all_reduce(message, reduce_op="mean")  # type: ignore[assignment]
    torch._foreach_copy_(
        gradients, [part.view_as(g) for part, g in zip(mean[:-1].split([g.numel() for g in gradients]), gradients)]
    )
    return bool(mean[-1] > 0)
