"""Pre-trains an encoder on a family's views, or on an image set, with a method of `robust3d.pretraining`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust3d import registry
from robust3d.architectures import architecture
from robust3d.data.images import ImageData, open_set
from robust3d.data.manifest import Views
from robust3d.data.multiview import Multiview, load_multiview
from robust3d.data.params import BackgroundParams, SplitName
from robust3d.data.pictures import draw_pairs
from robust3d.data.textures import Textures
from robust3d.errors import UserError
from robust3d.files import sha256
from robust3d.models.encoder import Encoder
from robust3d.models.files import load_state, save_state
from robust3d.parsing import parse
from robust3d.training.loop import Pretraining, train
from robust3d.training.parallel import launch
from robust3d.training.params import check_shares

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from robust3d.provenance.runner import Context

PICTURES = 12
SPLITS: tuple[SplitName, SplitName] = ("train", "val")
# What `info` repeats of the encoder that a training starts from.
STARTED = ("method", "normalisation", "images_seen", "steps", "seed", "sha256", "start")


def run(job: "Context") -> None:
    """Write `model` (with the encoder's initial weights), its `info`, `metrics` and held-out `reconstructions`."""
    job_params = job.params
    params = parse(registry.load("pretraining", job_params["method"]).Params, job_params["params"])
    if params.loop.devices > 1:
        if not hasattr(params, "batch"):
            raise UserError(
                f"pretraining.params.loop.devices: {job_params['method']} has no `batch` for devices to share"
            )
        check_shares(params.batch, params.loop.devices)
    trained = launch(pretrain, params.loop.devices, params.loop.precision, job_params, job.inputs, job.progress)
    save_state(trained["state"], job.outputs["model"])
    job.write_json("info", {"sha256": sha256(job.outputs["model"]), **trained["info"]})
    job.write_json("metrics", {"rows": trained["rows"]})
    truth, ours = trained["reconstructions"]
    draw_pairs(truth, ours, job.outputs["reconstructions"])


def pretrain(
    fabric: "Fabric", job_params: dict[str, Any], inputs: dict[str, list[Path]], progress: Path
) -> dict[str, Any]:
    """Train on this process's device. Returns all that `run` writes, in the first process only."""
    method = registry.load("pretraining", job_params["method"])
    params = parse(method.Params, job_params["params"])
    mine = params
    if fabric.world_size > 1:
        mine = params.model_copy(update={"batch": params.batch // fabric.world_size})
    folder = progress / f"views-{fabric.global_rank}"
    load = _load_set if "set" in job_params else _load_views
    data: list[Any] = [load(job_params, inputs, split, folder).to(fabric.device) for split in SPLITS]
    encoder, start = _encoder(job_params, inputs)
    task: Pretraining = method.make_task(mine, encoder, *data, job_params["seed"], fabric.device)
    initial = {f"initial/{name}": value.clone() for name, value in task.encoder.trunk.state_dict().items()}
    history = train(task, params.loop, job_params["seed"], progress, fabric)
    if not fabric.is_global_zero:
        return {}
    info = {
        "method": job_params["method"],
        "architecture": job_params["architecture"],
        "start": start,
        "normalisation": job_params["normalisation"],
        "encoder": next(name for name, part in task.module.named_modules() if part is task.encoder.trunk),
        **_facts(job_params, data[0]),
        "images_seen": history.images_seen,
        "images_per_step": task.images_per_step * fabric.world_size,
        "devices": fabric.world_size,
        "steps": history.steps,
        "selected_step": history.selected_step,
        "precision": history.precision,
        "collapse": history.collapse,
        "validation": history.selected["validation"],
        "seed": job_params["seed"],
        "params": job_params["params"],
    }
    state = initial | {f"module/{name}": value for name, value in task.module.state_dict().items()}
    return {
        "state": {name: value.cpu() for name, value in state.items()},
        "info": info,
        "rows": history.rows,
        "reconstructions": task.reconstructions(PICTURES),
    }


def _encoder(job_params: dict[str, Any], inputs: dict[str, list[Path]]) -> tuple[Encoder, str | dict[str, Any]]:
    """The encoder to train, and its start: random, or the facts of the encoder that it is loaded from."""
    encoder = Encoder(architecture(job_params["architecture"]), job_params["normalisation"], job_params["seed"])
    if not inputs.get("encoder"):
        return encoder, "random"
    path, info = inputs["encoder"][0], json.loads(inputs["encoder_info"][0].read_text())
    encoder.architecture.load_trunk(encoder.trunk, load_state(path), str(path))
    return encoder, {name: info[name] for name in STARTED}


def _facts(job_params: dict[str, Any], train: Multiview | ImageData) -> dict[str, Any]:
    """What `info` says of the training data."""
    if isinstance(train, ImageData):
        shown = {"input_background": train.background, "target_background": None, "set": job_params["set"]["kind"]}
        return {**shown, "objects": len(train), "resolution_px": train.resolution_px}
    kinds = {name: job_params[name]["kind"] for name in ("input_background", "target_background")}
    return {**kinds, "objects": len(train), "resolution_px": train.inputs.shape[-1]}


def _load_set(job_params: dict[str, Any], inputs: dict[str, list[Path]], split: SplitName, folder: Path) -> ImageData:
    return open_set(job_params["set"], inputs, split)


def _load_views(job_params: dict[str, Any], inputs: dict[str, list[Path]], split: SplitName, folder: Path) -> Multiview:
    views = Views.read(inputs["views"][0])
    textures = inputs.get("textures", [])
    objects = views.objects(split)
    wanted = {instance for instances in objects.values() for instance in instances}
    shards = [shard for shard in views.shards if shard.any_of(wanted)]
    return load_multiview(
        (views.load([shard], wanted) for shard in shards),
        objects,
        job_params["classes"],
        views.views,
        views.resolution_px,
        parse(BackgroundParams, job_params["input_background"]),
        parse(BackgroundParams, job_params["target_background"]),
        Textures.load(textures[0]) if textures else None,
        job_params["data_seed"],
        split,
        folder,
    )
