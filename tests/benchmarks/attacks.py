"""The AutoAttack sweep over five budgets against the official code, which runs once per budget."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from harness import Row, Section, Spread, busy_row, device, spread, timed
from inputs import blurred_classes
from torch import Tensor, nn
from torch.nn import functional

from robust3d.architectures import architecture
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.fab import fab
from robust3d.attacks.outcomes import Outcomes, SweepState
from robust3d.attacks.params import AutoAttackParams, PgdParams
from robust3d.attacks.pgd import pgd
from robust3d.attacks.victim import Victim, frozen
from robust3d.models.classifier import Classifier

RESNET18 = architecture("resnet18")

CLASSES = 10
TOY = {"iterations": 3, "square_queries": 5}
GRID = (0.3, 0.55, 0.8, 1.05, 1.3)  # of FAB's median radius, which all attacks undercut: half survive in the middle


class Counted(nn.Module):
    """The official code's view of the model: counts images that pass forward and backward."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.forwards, self.backwards = model, 0, 0

    def forward(self, images: Tensor) -> Tensor:
        self.forwards += len(images)
        logits = self.model(images)
        if logits.requires_grad:
            logits.register_hook(self._backward)
        return logits

    def _backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


def trained(steps: int, size_px: int = 32) -> Classifier:
    """A ResNet-18, adversarially trained until it is neither hopeless nor invulnerable."""
    model = Classifier(RESNET18, CLASSES, seed=0).to(device())
    optimiser = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    params = PgdParams(epsilon=0.06, step_size=0.03, steps=3)
    for step in range(steps):
        images, labels = (tensor.to(device()) for tensor in blurred_classes(32, CLASSES, size_px, seed=1000 + step))
        adversarial, _ = pgd(model.eval(), images, labels, params)
        loss = functional.cross_entropy(model.train()(adversarial), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval().to(memory_format=torch.channels_last)


def budgets(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, ...]:
    """Five radii around the median distance to the strongest rival's boundary."""
    with frozen(model), torch.no_grad():
        rival = model(images).scatter(1, labels[:, None], -torch.inf).argmax(1)
        radius = fab(Victim(model), images, labels, rival, "Linf", 20)[1]
    middle = float(radius[radius < torch.inf].median())
    return tuple(share * middle for share in GRID)


def official(model: nn.Module, images: Tensor, labels: Tensor, params: AutoAttackParams) -> dict[str, Any]:
    """The official code on the same images, all four attacks afresh at every epsilon."""
    import pyautoattack  # here: the sweep alone is measured where it is not installed

    counted, robust, seconds = Counted(model), [], []
    for epsilon in params.epsilons:
        started = time.perf_counter()
        attack = pyautoattack.AutoAttack(
            counted, norm="Linf", eps=epsilon, seed=params.seed, version="standard", device=images.device
        )
        for part in (attack.apgd, attack.apgd_targeted, attack.fab):
            part.n_iter = params.iterations
        attack.square.n_queries = params.square_queries
        _, predictions = attack.run_standard_evaluation(images, labels, batch_size=params.batch_size)
        robust.append(int((predictions == labels).sum()))
        seconds.append(time.perf_counter() - started)
    return {"forwards": counted.forwards, "backwards": counted.backwards, "robust": robust, "seconds": seconds}


def measure(toy: bool, repeats: int) -> Section:
    """One sweep each is minutes long and deterministic, so repeats beyond two add little: at most two are run."""
    count, steps = (4, 2) if toy else (32, 200)
    model = trained(steps)
    images, labels = (tensor.to(device()) for tensor in blurred_classes(count, CLASSES, 32, seed=7))
    if toy:
        labels = model(images).argmax(1)
    settings = TOY if toy else {}
    right = model(images).argmax(1) == labels
    params = AutoAttackParams(epsilons=budgets(model, images[right], labels[right]), **settings)
    ours, theirs = [], []
    for _ in range(1 if toy else min(repeats, 2)):
        ours.append(timed(lambda: evaluate(model, images, labels, params)))
        theirs.append(timed(lambda: official(model, images, labels, params)))
    outcomes: Outcomes = ours[0].result
    oracle = theirs[0].result
    own = {
        "forwards": sum(cost.forwards for cost in outcomes.cost.values()),
        "backwards": sum(cost.backwards for cost in outcomes.cost.values()),
        "robust": outcomes.robust.sum(0).tolist(),
    }
    passes = [sum(found[name] for name in ("forwards", "backwards")) for found in (own, oracle)]
    per_pass = [
        spread([1e3 * sample.seconds / total for sample in samples]) for samples, total in zip((ours, theirs), passes)
    ]
    worst = max(a - b for a, b in zip(own["robust"], oracle["robust"]))
    section = Section(
        "attacks",
        {"images": count, "size_px": 32, "epsilons": params.epsilons, "training_steps": steps, **settings},
        facts={
            "passes": {"ours": own, "official": {k: oracle[k] for k in ("forwards", "backwards", "robust")}},
            "official_seconds_per_epsilon": oracle["seconds"],
            "cost": {name: vars(cost) for name, cost in outcomes.cost.items()},
            "survivors_at_middle": own["robust"][2] / count,
        },
    )
    peer = "pyautoattack, once per epsilon"
    totals = [spread([sample.seconds for sample in samples]) for samples in (ours, theirs)]
    ratio = spread([b.seconds / a.seconds for a, b in zip(ours, theirs)])
    section.rows = [
        Row(f"AutoAttack, five Linf budgets, {count} images of 32 px", "s", *totals, ratio=ratio, bar=1.6, peer=peer),
        Row(
            "… images passed forward or backward",
            "",
            *(_exact(n) for n in passes),
            ratio=_exact(passes[1] / passes[0]),
            peer=peer,
        ),
        Row("… time per pass", "ms", *per_pass, ratio=_exact(per_pass[1].median / per_pass[0].median), peer=peer),
        Row("… official robust count less ours, worst budget", "images", _exact(-worst), bar=-1),
    ]
    for name, change in {"search in bf16": {"search_precision": "bf16"}, "shrink": {"shrink": True}}.items():
        option = timed(lambda change=change: evaluate(model, images, labels, params.model_copy(update=change)))
        ratio = _exact(totals[0].median / option.seconds)
        section.rows.append(Row(f"… ours with {name}", "s", _exact(option.seconds), totals[0], ratio, peer="ours"))
        section.facts[f"robust with {name}"] = option.result.robust.sum(0).tolist()
    if device() == "cuda":
        section.rows += [row for precision in ("fp32", "bf16") for row in on_gpu(precision, toy)]
    return section


def on_gpu(precision: str, toy: bool, keep: Callable[[SweepState], None] | None = None) -> Iterator[Row]:
    """Our sweep alone, at the paper's size and number of images: three minutes on a GPU of the H200's class.

    Before it, on a GPU, the share of time in which that computes in a sweep of short attacks.

    Args:
        precision: of the search; what it finds is verified in fp32.
        toy: a few small images and short attacks.
        keep: called with the state after every batch, so that a sweep that is cut off says how far it came.
    """
    count, size_px, steps = (4, 32, 2) if toy else (500, 224, 200)
    model = trained(steps, size_px)
    images, labels = (tensor.to(device()) for tensor in blurred_classes(count, CLASSES, size_px, seed=7))
    if toy:
        labels = model(images).argmax(1)
    right = model(images[:64]).argmax(1) == labels[:64]
    grid = budgets(model, images[:64][right], labels[:64][right])
    params = AutoAttackParams(epsilons=grid, batch_size=500, search_precision=precision)
    short = params.model_copy(update=TOY)
    if device() == "cuda":
        warm, sample = (timed(lambda: evaluate(model, images, labels, short)) for _ in range(2))
        what = f"short attacks in {precision}, share of the time in which the GPU computes"
        yield busy_row(what, lambda: evaluate(model, images, labels, short), 1, min(warm.seconds, sample.seconds))
    sample = timed(lambda: evaluate(model, images, labels, short if toy else params, keep=keep))
    survivors = ", ".join(f"{share:.0%}" for share in sample.result.robust_accuracy)
    yield Row(f"AutoAttack, five Linf budgets, {count} images of {size_px} px, search in {precision}", "images/s",
              _exact(count / sample.seconds), bar=500 / 180, note=f"robust: {survivors}")  # fmt: skip


def _exact(value: float) -> Spread:
    return Spread(value, value, value, 1)
