"""Steps of DVR, pixelNeRF and 3D-Prior against literal paths, whole and item by item (S1 … S10 of the notes)."""

import copy
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from harness import Row, Sample, Section, busy_row, device, interleaved, rate_row, spread, timed
from inputs import balls
from reference import dvr as reference_dvr
from reference import pixelnerf as reference_pixelnerf
from reference import prior3d as reference_prior3d

from robust3d.architectures import architecture
from robust3d.data.multiview import Multiview
from robust3d.models.encoder import Encoder
from robust3d.pretraining import dvr, pixelnerf, prior3d
from robust3d.pretraining.dvr.params import Loop
from robust3d.seeds import torch_generator
from robust3d.training.loop import LoopParams, Pretraining

RESNET18, HALF = architecture("resnet18"), "half"

PRIOR3D = {"width": 64, "heads": 4, "query_px": 8, "plane_px": 32, "channels": 16, "hidden": 32}
SIZES = {
    "dvr": {"batch": 16, "pixels": 256, "hidden": 128},
    "pixelnerf": {"batch": 4, "rays": 128, "width": 128},
    "prior3d": {"batch": 8, **PRIOR3D},  # all pixels, as in the paper
}
GPU_SIZES = {
    "dvr": {"batch": 64, "pixels": 1024, "hidden": 128},
    "pixelnerf": {"batch": 4, "rays": 128},
    "prior3d": {"batch": 32},
}
TOY = {
    "dvr": {"batch": 2, "pixels": 32, "hidden": 16},
    "pixelnerf": {"batch": 2, "rays": 8, "width": 16},
    "prior3d": {"batch": 2, "rays": 32, **PRIOR3D},
}


def measure(toy: bool, repeats: int) -> Section:
    """Every variant does the same steps from the same weights; 200 steps (2) compare the losses."""
    size_px, objects, views = (16, 3, 2) if toy else (64, 24, 24)
    sizes, steps, long = (TOY, 1, 2) if toy else (SIZES, 3, 200)
    if device() == "cuda" and not toy:
        sizes = GPU_SIZES
    repeats = 1 if toy else repeats
    section = Section("reconstruction", {"size_px": size_px, "objects": objects, "views": views, **sizes})
    train = balls(objects, views, size_px, seed=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference_dvr.write_files(train, folder)
        _dvr(section, train, folder, sizes["dvr"], steps, long, repeats)
        _pixelnerf(section, train, folder, sizes["pixelnerf"], steps, long, repeats)
    _prior3d(section, train, sizes["prior3d"], steps, long, repeats)
    if device() == "cuda":
        section.rows += on_gpu(train, sizes, steps)
    return section


def on_gpu(train: Multiview, sizes: dict[str, dict[str, int]], steps: int) -> Iterator[Row]:
    """Our steps alone, against numbers that a GPU of the H200's class should reach; and that they are the right ones.

    Args:
        train: views of a few objects.
        sizes: of `GPU_SIZES`, or smaller ones.
        steps: of a repeat.
    """
    for march, bar in ((16, 10.0), (64, 4.0)):
        task = dvr.make_task(_dvr_params(sizes["dvr"], march), Encoder(RESNET18), train, train, 0, device())
        yield from _alone(f"DVR at {march} march steps", "steps/s", task, steps, 1, bar)
        if march == 16:
            yield _first_loss("DVR", task, reference_dvr.Step(task, Path(), reference_dvr.Literal(png=False)))
    params = _pixelnerf_params(sizes["pixelnerf"])
    task = pixelnerf.make_task(params, Encoder(RESNET18, HALF), train, train, 0, device())
    yield from _alone("pixelNeRF as published", "rays/s", task, steps, params.batch * params.rays, 20_000.0)
    yield _first_loss("pixelNeRF", task, reference_pixelnerf.Step(task, Path(), reference_pixelnerf.Literal(png=False)))
    yield from _vit_b(train, sizes["prior3d"], steps)


def _vit_b(train: Multiview, sizes: dict[str, int], steps: int) -> Iterator[Row]:
    """3D-Prior on a transformer of DINOv2's size at 224 px, with the paper's decoder and 4,096 rays; no bar."""
    size: dict[str, int] = {"image_px": 224, "patch_px": 14}
    if sizes is TOY["prior3d"]:
        size = {"image_px": 16, "patch_px": 8, "width": 24, "heads": 3, "layers": 4, "mlp_width": 48}
    vit = architecture({"name": "vit", "params": size})
    params = prior3d.Params(input_px=size["image_px"], loop=LoopParams(steps=1), **{"rays": 4096, **sizes})
    task = prior3d.make_task(params, Encoder(vit), train, train, 0, device())
    yield from _alone("3D-Prior with a ViT-B/14", "images/s", task, steps, params.batch, None)


def _alone(what: str, unit: str, task: Pretraining, steps: int, count: float, bar: float | None) -> Iterator[Row]:
    """Things of a step (`count`) a second, in fp32 against the bar and in bf16; how long the GPU computes."""
    runs = {"fp32": _runner(task, task, steps)} | _in_bf16(task, steps)
    samples = interleaved(runs, 3)
    for name, run in runs.items():
        rates = spread([count * steps / sample.seconds for sample in samples[name]])
        yield Row(f"{what}, {name}", unit, rates, bar=bar if name == "fp32" else None)
        if device() == "cuda":
            step_s = spread([sample.seconds / steps for sample in samples[name]]).median
            yield busy_row("… share of the time in which the GPU computes", run, steps, step_s)


def _first_loss(name: str, task: Pretraining, literal: Any) -> Row:
    """Agreement of the first loss with the literal path's, from the same weights and draws."""
    runners = [_runner(task, path, 1) for path in (task, literal)]  # both, before one changes the weights
    ours, theirs = (run()[0] for run in runners)
    apart = abs(ours / theirs - 1)
    return Row(f"{name}, agreement of the first loss with the literal path", "", spread([1 - apart]), bar=1 - 1e-4)


def _dvr(section: Section, train: Any, folder: Path, sizes: dict, steps: int, long: int, repeats: int) -> None:
    params, literal = _dvr_params(sizes), reference_dvr.Literal()
    task = dvr.make_task(params, Encoder(RESNET18), train, train, 0, device())
    ours = _runner(task, task, steps)
    variants = {"ours": ours, "literal": _runner(task, reference_dvr.Step(task, folder, literal), steps)}
    items = {"S1 arrays in memory": "png", "S6 first-order equal of the gradient": "custom_backward",
             "S7 helper losses where masked": "everywhere"}  # fmt: skip
    for item, switch in items.items():
        how = reference_dvr.Literal(**{switch: False})
        variants[item] = _runner(task, reference_dvr.Step(task, folder, how), steps)
    changed = {
        "S5 width 512 instead": {"hidden": 512},
        "S9 four secant steps": {"secant_steps": 4},
        "S10 chunks of 3.7 M points instead": {"chunk_points": 3_700_000},
    }
    for item, change in changed.items():
        other = dvr.make_task(params.model_copy(update=change), Encoder(RESNET18), train, train, 0, device())
        variants[item] = _runner(other, other, steps)
    variants |= _in_bf16(task, steps)
    samples = interleaved(variants, repeats)
    rays = steps * params.batch * params.pixels
    bar = 2.0 if device() == "cpu" else None
    _rows(section, "DVR", samples, rays, steps, bar, items, [*changed, *(name for name in samples if "S8" in name)])
    _equal_losses(section, "DVR", task, reference_dvr.Step(task, folder, literal), long)


def _pixelnerf(section: Section, train: Any, folder: Path, sizes: dict, steps: int, long: int, repeats: int) -> None:
    params = _pixelnerf_params(sizes)
    literal = reference_pixelnerf.Literal()
    task = pixelnerf.make_task(params, Encoder(RESNET18, HALF), train, train, 0, device())
    variants = {
        "ours": _runner(task, task, steps),
        "literal": _runner(task, reference_pixelnerf.Step(task, folder, literal), steps),
    }
    items = {"S1 gather of rays": "png", "S3 projected feature map": "project_samples"}
    for item, switch in items.items():
        how = reference_pixelnerf.Literal(**{switch: False})
        variants[item] = _runner(task, reference_pixelnerf.Step(task, folder, how), steps)
    # A ray is in the unit cube for 0.64 of 2.8 on average: the same spacing takes a quarter of the samples.
    bounds = {"near_far": "aabb", "coarse_samples": 16, "importance_samples": 4, "depth_samples": 4}
    bounded = pixelnerf.make_task(params.model_copy(update=bounds), Encoder(RESNET18, HALF), train, train, 0, device())
    variants["S2 per-ray bounds"] = _runner(bounded, bounded, steps)
    shared = pixelnerf.make_task(
        params.model_copy(update={"share_mlp": True}), Encoder(RESNET18, HALF), train, train, 0, device()
    )
    variants["S4 one MLP for both passes"] = _runner(shared, shared, steps)
    variants |= _in_bf16(task, steps)
    samples = interleaved(variants, repeats)
    rays = steps * params.batch * params.rays
    cpu = device() == "cpu"
    changed = [name for name in samples if name.startswith(("S4", "S8"))]
    _rows(section, "pixelNeRF", samples, rays, steps, 1.3 if cpu else None, items, changed)
    section.rows.append(
        rate_row("pixelNeRF with per-ray bounds (S2)", "rays/s", rays, samples["S2 per-ray bounds"], samples["literal"],
                 "literal path", bar=3.0 if cpu else None)
    )  # fmt: skip
    _equal_losses(section, "pixelNeRF", task, reference_pixelnerf.Step(task, folder, literal), long)
    held_out = balls(max(2, long // 50), section.sizes["views"], section.sizes["size_px"], seed=2)
    quality = {}
    for name, change in (("fixed", {}), ("per-ray", bounds)):
        fresh = pixelnerf.make_task(
            params.model_copy(update=change), Encoder(RESNET18, HALF), train, held_out, 0, device()
        )
        _train(fresh, fresh, long)
        fresh.module.eval()
        with torch.no_grad():
            quality[name] = fresh.validate()["psnr"]
    section.facts["pixelNeRF held-out PSNR after the long run, dB"] = quality


def _prior3d(section: Section, train: Multiview, sizes: dict, steps: int, long: int, repeats: int) -> None:
    params = prior3d.Params(loop=LoopParams(steps=1), batch_norms="measured", **sizes)
    encoder = Encoder(RESNET18)
    encoder.train()(train.inputs[:, 0] / 255)  # its batch norms have statistics, as a start's have
    task = prior3d.make_task(params, encoder, train, train, 0, device())
    literal = reference_prior3d.Literal()
    variants = {
        "ours": _runner(task, task, steps),
        "literal": _runner(task, reference_prior3d.Step(task, literal), steps),
    }
    items = {
        "planes of all images looked up together": "each_image",
        "field in parts": "at_once",
        "first samples evaluated once": "again",
    }
    for item, switch in items.items():
        how = reference_prior3d.Literal(**{switch: False})
        variants[item] = _runner(task, reference_prior3d.Step(task, how), steps)
    variants |= _in_bf16(task, steps)
    samples = interleaved(variants, repeats)
    images = steps * params.batch
    bar = 1.5 if device() == "cpu" else None
    peer, literals = "literal path", samples["literal"]
    section.rows.append(rate_row("3D-Prior step", "images/s", images, samples["ours"], literals, peer, bar=bar))
    for item in items:
        section.rows.append(
            rate_row(f"3D-Prior, literal but {item}", "images/s", images, samples[item], literals, peer)
        )
    section.facts["3D-Prior, memory for gradients, MiB an image"] = {
        name: _kept_mib(path) / params.batch
        for name, path in (("ours", task), ("literal", reference_prior3d.Step(task, literal)))
    }
    _equal_losses(section, "3D-Prior", task, reference_prior3d.Step(task, literal), long)


def _kept_mib(path: Any) -> float:
    """What a step keeps for its gradients, each tensor once: the peak of its memory besides weights and data."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found = path.loss(0, torch_generator(0, "step", 0, device=device()))
    del found
    return sum(kept.values()) / 2**20


def _dvr_params(sizes: dict[str, int], march_steps: int = 16) -> dvr.Params:
    # A CPU is fastest with 4,096 points at once; a GPU wants many, as in `workflow/scales/gpu.yaml`.
    return dvr.Params(
        initialisation="geometric", march_steps=(march_steps,), march_schedule=(), input_px=None,
        chunk_points=4096 if device() == "cpu" else 1_000_000, loop=Loop(steps=1), **sizes,
    )  # fmt: skip


def _pixelnerf_params(sizes: dict[str, int]) -> pixelnerf.Params:
    return pixelnerf.Params(activation="softplus", loop=LoopParams(steps=1), **sizes)


def _in_bf16(task: Pretraining, steps: int) -> dict[str, Any]:
    """S8, `precision: bf16` of the training loop, which is for GPUs: without one there is no such variant."""
    if device() == "cpu":
        return {}
    exact = _runner(task, task, steps)

    def run() -> list[float]:
        with torch.autocast("cuda", torch.bfloat16):
            return exact()

    return {"S8 autocast to bf16": run}


def _runner(task: Pretraining, path: Any, steps: int) -> Any:
    start = copy.deepcopy(task.module.state_dict())

    def run() -> list[float]:
        task.module.load_state_dict(start)
        return _train(task, path, steps)

    return run


def _train(task: Pretraining, path: Any, steps: int) -> list[float]:
    """The losses of so many steps of Adam."""
    task.module.train()
    optimiser = torch.optim.Adam(task.module.parameters(), 1e-4)
    losses = []
    for step in range(steps):
        loss = path.loss(step, torch_generator(0, "step", step, device=device()))
        loss = loss[0] if isinstance(loss, tuple) else loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def _rows(
    section: Section, name: str, samples: dict[str, list[Sample]], rays: int, steps: int, bar: float | None,
    items: dict, changed: Iterable[str],
) -> None:  # fmt: skip
    peer = "literal path"
    ours, literal = samples["ours"], samples["literal"]
    section.rows.append(rate_row(f"{name} step", "rays/s", rays, ours, literal, peer, bar=bar))
    section.facts[f"{name} steps/s"] = spread([steps / sample.seconds for sample in ours])
    for item in items:
        section.rows.append(rate_row(f"{name}, literal but {item}", "rays/s", rays, samples[item], literal, peer))
    for item in changed:
        section.rows.append(rate_row(f"{name}, ours but {item}", "rays/s", rays, samples[item], ours, "ours"))


def _equal_losses(section: Section, name: str, task: Pretraining, literal: Any, steps: int) -> None:
    """Mean losses of both paths over the same steps, from the same weights."""
    runners = {"ours": _runner(task, task, steps), "literal": _runner(task, literal, steps)}  # from one start
    runs = {key: timed(run) for key, run in runners.items()}
    first = [sample.result[0] for sample in runs.values()]
    if abs(first[0] / first[1] - 1) > 1e-4:
        raise AssertionError(
            f"{name}: the two paths compute different losses, {first}, from the same weights and draws"
        )
    means = {key: sum(sample.result) / steps for key, sample in runs.items()}
    apart = abs(means["ours"] / means["literal"] - 1)
    section.facts[f"{name} mean loss over {steps} steps"] = means
    section.rows.append(Row(f"{name} losses over {steps} steps, agreement", "", spread([1 - apart]), bar=0.99))
