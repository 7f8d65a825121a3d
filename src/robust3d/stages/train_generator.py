"""Trains 3D-VAE or 3D-GAN on a voxel set, and generates volumes by it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from robust3d.data.generated import JOINT, write_generated
from robust3d.data.voxel_sets import open_category
from robust3d.files import sha256
from robust3d.generation.diversity import collapse, diversity
from robust3d.models.files import save_state
from robust3d.training.loop import train
from robust3d.training.parallel import make_fabric
from robust3d.training.volume_generators.params import parse_generator
from robust3d.training.volume_generators.tasks import make_task

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `model` (all weights of the training), its `info`, `metrics`, and the `generated` volumes."""
    params = parse_generator(job.params["training"])
    category = job.params["category"]
    fabric = make_fabric(params.precision)
    volumes, held_out = (
        open_category(job.input("voxels"), split, category).to(fabric.device) for split in ("train", "val")
    )
    task = make_task(volumes, held_out, params)
    history = train(task, params.loop, params.seed, job.progress, fabric)
    task.calibrate(task.module)
    save_state(task.module.state_dict(), job.outputs["model"])
    samples = task.samples(params.samples, task.module)
    found = diversity(samples)
    facts = {
        "method": params.method,
        "category": category,
        "seed": params.seed,
        "collapse": collapse(found, task.training),
        "notices": list(dict.fromkeys([*volumes.notices, *held_out.notices])),
        "training": params.model_dump(mode="json"),
        "resolution": params.resolution,
        "training_volumes": len(volumes),
        "steps": history.steps,
        "passes": history.steps * task.step_passes,
    }
    info = facts | {
        "sha256": sha256(job.outputs["model"]),
        "classes": list(volumes.classes),
        "validation_volumes": len(held_out),
        "precision": history.precision,
        "validation": history.selected["validation"],
        "weights": sum(weight.numel() for weight in task.module.parameters()),
        "diversity": {"samples": asdict(found), "training": asdict(task.training)},
    }
    job.write_json("info", info)
    job.write_json("metrics", {"rows": history.rows})
    label = JOINT if category is None else volumes.classes.index(category)
    labels = np.full(len(samples), label)
    write_generated(job.outputs["generated"], samples, labels, volumes.classes, threshold=params.threshold, **facts)
