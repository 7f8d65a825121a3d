"""PGD-7 training of a ResNet-18 against a plain loop that does what MadryLab's library does, and the roofline."""

import copy
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from harness import Row, Section, busy_row, device, interleaved, rate_row, spread
from inputs import blurred_classes
from reference import madry
from torch import nn

from robust3d.architectures import architecture
from robust3d.attacks.params import PgdParams
from robust3d.data.images import ImageData
from robust3d.models.classifier import Classifier
from robust3d.seeds import torch_generator
from robust3d.training.classification import to_unit
from robust3d.training.loop import train
from robust3d.trainings import pgd
from robust3d.trainings.pgd.task import AdversarialTraining

RESNET18 = architecture("resnet18")

CLASSES = 10
PROFILED_STEPS = 3  # of the profiler every kernel is an object
CONV_FLOP_PX = {32: 74.2e6, 64: 296.7e6, 224: 3.627e9}  # forward pass of torchvision's ResNet-18, 2 FLOP a MAC


class Unvalidated(AdversarialTraining):
    """The task as the workflow trains it, without the validation after the last step, which the peer has not."""

    def validate(self) -> dict[str, float]:
        return {"pgd_accuracy": 0.0}

    def collapse(self, validation: dict[str, float]) -> None:
        return None


def measure(toy: bool, repeats: int) -> Section:
    batch, steps, sizes = (4, 1, (32,)) if toy else (50, 2, (32, 64, 224))
    if device() == "cuda" and not toy:
        batch, steps = 100, 20
    section = Section("training", {"batch": batch, "steps_a_repeat": steps, "sizes_px": sizes, "precision": "fp32"})
    for size_px in sizes:
        # A CPU needs ten seconds a step for a full batch at 224 px; throughput there does not depend on it.
        part = min(batch, 10) if size_px == 224 and device() == "cpu" else batch
        section.rows += _size(size_px, part, steps, 1 if toy else repeats)
    if device() == "cuda":
        section.rows += on_gpu(64 if toy else 224, batch, steps, 1 if toy else repeats, "bf16")
    section.facts["conv_flops"] = _conv_flops(4 if toy else 50)
    for row in (row for row in section.rows if row.unit == "images/s" and "training" in row.what):
        size = int(re.search(r"(\d+) px", row.what)[1])
        work = 17.93 * CONV_FLOP_PX[size]  # 7 (F + F) + F + 3 F - conv1's input gradient
        row.note = f"{100 * row.ours.median * work / section.facts['conv_flops']:.0f} % of the measured conv roofline"
    return section


def _size(size_px: int, batch: int, steps: int, repeats: int) -> list[Row]:
    attack = PgdParams(epsilon=0.05, step_size=0.01, steps=7)
    params = pgd.Params(attack=attack, batch_size=batch, epochs=1, learning_rate=0.01, decay_epochs=())
    images, labels = blurred_classes(batch * steps, CLASSES, size_px, seed=3)
    images, labels = (images * 255).round().to(torch.uint8).to(device()), labels.to(device())
    classifier = Classifier(RESNET18, CLASSES, seed=0).to(device())
    with torch.no_grad():  # statistics of these images, else an untrained network amplifies rounding
        for _ in range(20):
            classifier.train()(to_unit(images[:batch]))
    start = copy.deepcopy(classifier.state_dict())
    task = Unvalidated(classifier, ImageData.of(images, labels), ImageData.of(images[:1], labels[:1]), params)
    plain = Classifier(RESNET18, CLASSES, seed=0).to(device())

    def ours() -> float:
        task.module.load_state_dict(start)
        return train(task, params.loop(len(images)), seed=0).rows[-1]["training"]["loss"]

    def theirs() -> float:
        plain.load_state_dict(start)
        attacked = madry.Attacked(plain, attack.epsilon, attack.step_size, attack.steps)
        optimiser = torch.optim.SGD(plain.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
        order = [task.batch(step) for step in range(steps)]
        losses = madry.train(attacked, optimiser, [(to_unit(images[index]), labels[index]) for index in order])
        return sum(losses) / len(losses)

    samples = interleaved({"ours": ours, "theirs": theirs}, repeats)
    difference = abs(samples["ours"][0].result / samples["theirs"][0].result - 1)
    if difference > 0.01:
        raise AssertionError(f"the two loops do not do the same: their losses are {100 * difference:.2f} % apart")
    bar = 1.15 if device() == "cpu" else None
    what = f"PGD-7 training at {size_px} px"
    return [rate_row(what, "images/s", batch * steps, *samples.values(), "plain loop", bar=bar)]


def on_gpu(size_px: int, batch: int, steps: int, repeats: int, precision: str) -> Iterator[Row]:
    """The workflow's training and its attack alone, without a peer; and the share of time in which the GPU computes."""
    params = pgd.Params(
        attack=PgdParams(epsilon=0.05, step_size=0.01, steps=7), batch_size=batch, epochs=1, learning_rate=0.01,
        decay_epochs=(), precision=precision,
    )  # fmt: skip
    images, labels = blurred_classes(batch * steps, CLASSES, size_px, seed=3)
    images, labels = (images * 255).round().to(torch.uint8).to(device()), labels.to(device())
    data = ImageData.of(images, labels), ImageData.of(images[:1], labels[:1])
    task = Unvalidated(Classifier(RESNET18, CLASSES, seed=0).to(device()), *data, params)
    autocast = torch.autocast(device(), torch.bfloat16, enabled=precision == "bf16" and device() == "cuda")
    is_goal = (size_px, precision) == (224, "bf16")

    def training(count: int) -> None:
        train(task, params.loop(batch * count), seed=0)

    def attack(count: int) -> None:
        for _ in range(count):
            with autocast:
                task.attack(to_unit(images[:batch]), labels[:batch], torch_generator(0, device=device()))

    bars = (3000.0, 0.95) if is_goal else (None, None)
    yield from _with_share(f"PGD-7 training at {size_px} px in {precision}", training, batch, steps, repeats, bars)
    task.module.eval()
    yield from _with_share(f"PGD-7 alone at {size_px} px in {precision}", attack, batch, steps, repeats, (None, None))


def _with_share(
    what: str, run: Callable[[int], Any], batch: int, steps: int, repeats: int, bars: tuple[float | None, float | None]
) -> Iterator[Row]:
    """Images a second of so many steps, and how long the GPU computes in them."""
    samples = interleaved({"ours": lambda: run(steps)}, repeats)["ours"]
    yield Row(what, "images/s", spread([batch * steps / sample.seconds for sample in samples]), bar=bars[0])
    if device() == "cuda":
        step_s = spread([sample.seconds / steps for sample in samples]).median
        few = min(steps, PROFILED_STEPS)
        yield busy_row("… share of the time in which the GPU computes", lambda: run(few), few, step_s, bars[1])


def _conv_flops(batch: int) -> float:
    """FLOP/s of the convolution that ResNet-18 spends most on, 3x3 with 128 channels, best of several."""
    layer = nn.Conv2d(128, 128, 3, padding=1).to(device()).requires_grad_(False)
    maps = torch.rand(batch, 128, 28, 28, device=device()).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        layer(maps)
        if device() == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * batch * 28 * 28 * 128 * 128 * 9 / spread(seconds[1:]).low
