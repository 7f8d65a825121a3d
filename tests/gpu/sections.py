"""What the GPU checks do. What is measured, and the bars, are those of `tests/benchmarks`.

A section writes its JSON anew after every row, so that one that is killed leaves what it had. Importing this starts no
work on a GPU: `check.py` forks a process for each section, and a GPU that is in use cannot be taken into a fork.
"""

import copy
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import attacks
import compare
import harness
import inputs
import introspection
import lightning_fabric  # noqa: F401  a second or more, once for all sections
import reconstruction
import solids
import stages
import torch
import training
from harness import Row, device

from robust3d.architectures import architecture
from robust3d.attacks.autoattack import evaluate
from robust3d.attacks.outcomes import SweepState
from robust3d.attacks.params import AutoAttackParams, PgdParams
from robust3d.attacks.pgd import pgd
from robust3d.data.multiview import Multiview
from robust3d.models.encoder import Encoder
from robust3d.pretraining import prior3d, supervised
from robust3d.training.loop import train
from robust3d.training.params import LoopParams

SAID_EVERY_S = 2.0


class Report:
    """The rows and facts so far, on disk after each."""

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, 0.0
        self.content: dict[str, Any] = {"rows": [], "facts": {}}
        self.write()

    def row(self, row: Row) -> None:
        """Add a row, with the most GPU memory that was in use since the one before."""
        memory = {}
        if device() == "cuda":
            memory = {"peak_gpu_mib": round(torch.cuda.max_memory_allocated() / 2**20)}
            torch.cuda.reset_peak_memory_stats()
        self.content["rows"].append(asdict(row) | {"met": row.met} | memory)
        self.write()

    def fact(self, name: str, value: Any) -> None:
        """Add or replace a number that has no bar; for many in a row, not each one is written."""
        self.content["facts"][name] = value
        if time.monotonic() - self.written > SAID_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write what there is."""
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.content, indent=1))
        os.replace(temporary, self.path)
        self.written = time.monotonic()


def machine(report: Report, toy: bool, data: Path) -> None:
    """Hardware, versions, and how fast a convolution and a matrix product are."""
    for name, value in harness.machine().items():
        report.fact(name, value)
    gpu = torch.cuda.get_device_properties(0) if device() == "cuda" else None
    report.fact("gpu_memory_gib", gpu and round(gpu.total_memory / 2**30))
    report.fact("cuda", torch.version.cuda)
    report.fact("cudnn", torch.backends.cudnn.version() if gpu else None)
    report.fact("fp32_convolution_flops", training._conv_flops(4 if toy else 100))


def stages_twice(report: Report, toy: bool, data: Path) -> None:
    """Every learning stage at the tests' scale on the CPU and here, from the same inputs and random numbers."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "project"
        shutil.copytree(data, root)
        jobs = stages.learning_jobs(root)
        if not jobs:
            raise RuntimeError(f"{data}: no recorded jobs; `python tests/gpu/prepare.py` packs them")
        for job in jobs:
            report.fact("running", f"{job.stage} {job.name}")
            theirs = stages.run(job, root)
            sample = harness.timed(lambda job=job: stages.run(job, root, Path(name) / "here", on_gpu=True))
            allowed = compare.UNDER_ATTACK if job.under_attack else compare.PLAIN
            for what, apart, most in compare.distances(sample.result, theirs, allowed):
                report.row(agreement(f"{job.stage} {job.name}: {what}", apart, most, f"{sample.wall_s:.1f} s"))
    report.fact("running", None)


def agreement(what: str, apart: float, allowed: float, note: str = "") -> Row:
    """A row that says how well something agrees with the CPU; 1 is equal."""
    return Row(f"{what}, agreement with the CPU", "", harness.spread([1 - apart]), bar=1 - allowed, note=note)


def attack_twice(report: Report, toy: bool, data: Path) -> None:
    """PGD and AutoAttack on a classifier that is neither hopeless nor invulnerable, on the CPU and here."""
    count, settings = (4, attacks.TOY) if toy else (32, {"iterations": 10, "square_queries": 100})
    here = attacks.trained(2 if toy else 200)
    there = copy.deepcopy(here).cpu()
    images, labels = inputs.blurred_classes(count, attacks.CLASSES, 32, seed=7)
    params = PgdParams(epsilon=0.05, step_size=0.01, steps=7)
    with torch.no_grad():
        logits = [model(images.to(place)).cpu() for model, place in ((here, device()), (there, "cpu"))]
    report.row(agreement("logits", float((logits[0] - logits[1]).norm() / logits[1].norm()), 1e-3))
    losses = [pgd(model, images.to(place), labels.to(place), params)[1].cpu().mean().item()
              for model, place in ((here, device()), (there, "cpu"))]  # fmt: skip
    report.row(agreement("loss under PGD-7", abs(losses[0] / losses[1] - 1), 1e-2))
    right = logits[1].argmax(1) == labels if not toy else torch.ones(count, dtype=torch.bool)
    sweep = AutoAttackParams(epsilons=attacks.budgets(there, images[right], labels[right]), **settings)
    found = [evaluate(model, images.to(place), labels.to(place), sweep)
             for model, place in ((here, device()), (there, "cpu"))]  # fmt: skip
    apart = float((found[0].robust != found[1].robust).mean())
    report.row(agreement("AutoAttack, robust images at five budgets", apart, 0.05))
    report.fact("robust accuracy, here and on the CPU", [one.robust_accuracy.tolist() for one in found])


def adversarial_training(report: Report, toy: bool, data: Path) -> None:
    """PGD-7 training at the paper's size in bf16; at 64 px, where launches may be what takes the time; in fp32."""
    cases = [(224, "bf16", 20), (64, "bf16", 20), (224, "fp32", 8), (64, "fp32", 20)]
    for size_px, precision, steps in [(32, "bf16", 1)] if toy else cases:
        for row in training.on_gpu(size_px, 4 if toy else 100, steps, 1 if toy else 2, precision):
            report.row(row)


def plain_loop(report: Report, toy: bool, data: Path) -> None:
    """The same training against a plain loop that must compute the same losses, in fp32.

    Few steps: the attack takes signs of gradients, so losses that differ by rounding grow apart.
    """
    batch, steps, repeats = (4, 1, 1) if toy else (100, 3, 3)
    for size_px in (32,) if toy else (64, 224):
        for row in training._size(size_px, batch, steps, repeats):
            report.row(row)


def reconstructions(report: Report, toy: bool, data: Path) -> None:
    """DVR at 16 and 64 march steps, pixelNeRF as published, 3D-Prior with a ViT-B/14."""
    size_px, objects, views = (16, 3, 2) if toy else (64, 24, 24)
    sizes, steps = (reconstruction.TOY, 1) if toy else (reconstruction.GPU_SIZES, 3)
    for row in reconstruction.on_gpu(inputs.balls(objects, views, size_px, seed=1), sizes, steps):
        report.row(row)


def syntheses(report: Report, toy: bool, data: Path) -> None:
    """Synthesis of volumes at the size of 3DWINN's paper."""
    for row in introspection.on_gpu(toy):
        report.row(row)


def triplane(report: Report, toy: bool, data: Path) -> None:
    """3D-Prior on a backbone that knows solids apart: what it reconstructs, and what of that knowledge is kept.

    Bar H9: PSNR and depth on held-out solids; the linear probe falls by a point at most with the distance to the start,
    and by more than three without.
    """
    size_px, objects, views, steps = (16, 6, 2, 2) if toy else (64, 240, 12, 800)
    train_views, held_out = (
        solids.draw(count, views, size_px, seed) for seed, count in ((1, objects), (2, objects // 2))
    )
    start = Encoder(architecture("resnet18"), seed=0)
    loop = LoopParams(steps=steps, learning_rate=1e-3, schedule="cosine", validate_every=steps)
    taught = supervised.Params(batch=32, loop=loop)
    train(supervised.make_task(taught, start, train_views, held_out, 0, device()), loop, 0)
    before = kinds_known(start, train_views, held_out)
    report.fact("linear probe of the start, %", before)
    sizes = {"batch": 2, "rays": 32, **reconstruction.PRIOR3D} if toy else {"batch": 32, "rays": 1024}
    for weight in (1.0, 0.0):
        params = prior3d.Params(
            distillation_weight=weight, surface_weight=1.0, batch_norms="measured", encoder_rate=0.1, crop=1.0,
            loop=loop, **sizes,
        )  # fmt: skip
        task = prior3d.make_task(params, copy.deepcopy(start), train_views, held_out, 0, device())
        found = train(task, loop, 0).rows[-1]["validation"]
        change = kinds_known(task.encoder, train_views, held_out) - before
        if weight:
            inputs_, _, depth = task._validation_views
            with task.in_eval_mode():
                surface = task._reconstruct(inputs_)[2]
            known = depth.isfinite()
            likeness = torch.corrcoef(torch.stack([surface[known], depth[known]]).cpu())[0, 1].item()
            report.row(Row("3D-Prior, held-out PSNR", "dB", harness.spread([found["psnr"]]), bar=20.0))
            report.row(Row("3D-Prior, correlation with the depth", "", harness.spread([likeness]), bar=0.8))
            report.row(Row("… change of the linear probe", "points", harness.spread([change]), bar=-1.0))
        else:
            report.row(
                Row("… loss of the linear probe without distillation", "points", harness.spread([-change]), bar=3.0)
            )


@torch.no_grad()
def kinds_known(encoder: Encoder, seen: Multiview, held_out: Multiview) -> float:
    """Held-out views (%) whose kind of solid a linear map of the features tells, fitted by ridge regression."""
    encoder.eval()
    features, kinds = [], []
    for views in (seen, held_out):
        images = views.inputs.flatten(0, 1)
        found = torch.cat([encoder(part.to(device()) / 255).double().cpu() for part in images.split(256)])
        features.append(torch.cat([found, torch.ones(len(found), 1)], 1))
        kinds.append(views.class_index.repeat_interleave(views.inputs.shape[1]))
    scale = features[0].square().mean(0).sqrt().clamp(min=1e-6)
    here, there = (part / scale for part in features)
    wanted = torch.nn.functional.one_hot(kinds[0], 3).double()
    weight = torch.linalg.solve(here.T @ here + len(here) * 1e-3 * torch.eye(here.shape[1]), here.T @ wanted)
    return 100 * float(((there @ weight).argmax(1) == kinds[1]).double().mean())


def sweep(precision: str, report: Report, toy: bool) -> None:
    """AutoAttack over five budgets; while it runs, how far it is."""

    def keep(state: SweepState) -> None:
        costs = {name: asdict(cost) for name, cost in state.cost.items()}
        report.fact("progress", {"attack": state.attack, "left": len(state.tensors["rows"]), "cost": costs})

    for row in attacks.on_gpu(precision, toy, keep):
        report.row(row)


def sweep_bf16(report: Report, toy: bool, data: Path) -> None:
    """The sweep of 500 images at 224 px, search in bf16."""
    sweep("bf16", report, toy)


def sweep_fp32(report: Report, toy: bool, data: Path) -> None:
    """The same, search in fp32."""
    sweep("fp32", report, toy)


SECTIONS = {
    "machine": machine,
    "stages": stages_twice,
    "attack": attack_twice,
    "training": adversarial_training,
    "reconstruction": reconstructions,
    "synthesis": syntheses,
    "triplane": triplane,
    "sweep in bf16": sweep_bf16,
    "plain loop": plain_loop,
    "sweep in fp32": sweep_fp32,
}


def run(name: str, result: Path, toy: bool, data: Path) -> None:
    """Run a section; its JSON is written to `result`."""
    if device() == "cpu":
        if not toy:
            raise SystemExit("PyTorch sees no GPU here; --toy runs everything at tiny sizes")
        torch.set_num_threads(1)  # as the workflow's jobs
    harness.no_tf32()
    report = Report(result)
    SECTIONS[name](report, toy, data)
    report.write()
