"""Trains a reconstruction model, whichever module of `robust3d.pretraining` the study names, on a family's views."""

from typing import TYPE_CHECKING

from robust3d.data.manifest import Views
from robust3d.data.multiview import Multiview, load_multiview
from robust3d.data.params import BackgroundParams, SplitName
from robust3d.data.pictures import draw_pairs
from robust3d.data.textures import Textures
from robust3d.models.files import save_state
from robust3d.provenance.files import sha256
from robust3d.study import registry
from robust3d.study.parsing import parse
from robust3d.training.loop import Pretraining, make_fabric, train

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

PICTURES = 12


def run(job: "Context") -> None:
    """Write `model` (with the encoder's initial weights), its `info`, `metrics` and held-out `reconstructions`."""
    told = job.params
    method = registry.load("pretraining", told["method"])
    params = parse(method.Params, told["params"])
    fabric = make_fabric(params.loop.precision)
    data = [_load(job, split).to(fabric.device) for split in ("train", "val")]
    task: Pretraining = method.task(params, *data, told["seed"], fabric.device)
    initial = {f"initial/{name}": value.clone() for name, value in task.encoder.trunk.state_dict().items()}
    history = train(task, params.loop, told["seed"], job.progress, fabric)

    save_state(initial | {f"module/{n}": v for n, v in task.module.state_dict().items()}, job.outputs["model"])
    info = {
        "sha256": sha256(job.outputs["model"]),
        "method": told["method"],
        "init": task.encoder.init,
        "normalisation": task.encoder.normalisation,
        "encoder": next(name for name, part in task.module.named_modules() if part is task.encoder.trunk),
        "input_background": told["input_background"]["kind"],
        "target_background": told["target_background"]["kind"],
        "objects": len(data[0]),
        "resolution_px": data[0].inputs.shape[-1],
        "images_seen": history.images_seen,
        "images_per_step": task.images_per_step,
        "steps": history.steps,
        "selected_step": history.selected_step,
        "precision": history.precision,
        "collapse": history.collapse,
        "validation": history.selected["validation"],
        "seed": told["seed"],
        "params": told["params"],
    }
    job.write_json("info", info)
    job.write_json("metrics", {"rows": history.rows})
    draw_pairs(*task.reconstructions(PICTURES), job.outputs["reconstructions"])


def _load(job: "Context", split: SplitName) -> Multiview:
    views = Views.read(job.input("views"))
    textures = job.optional("textures")
    objects = views.objects(split)
    wanted = {instance for instances in objects.values() for instance in instances}
    shards = [shard for shard in views.shards if wanted.intersection(shard.instances)]
    return load_multiview(
        (views.load([shard], wanted) for shard in shards),
        objects,
        job.params["classes"],
        views.views,
        views.resolution_px,
        parse(BackgroundParams, job.params["input_background"]),
        parse(BackgroundParams, job.params["target_background"]),
        Textures.load(textures) if textures else None,
        job.params["data_seed"],
        split,
        job.progress / "views",
    )
