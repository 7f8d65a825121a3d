"""Trains the reference classifier of volumes, by whose features and probabilities generated volumes are judged."""

from typing import TYPE_CHECKING

from robust3d.data.voxel_sets import open_voxels
from robust3d.files import sha256
from robust3d.models.files import save_state
from robust3d.parsing import parse
from robust3d.training.loop import train
from robust3d.training.parallel import make_fabric
from robust3d.training.reference3d.params import ReferenceParams
from robust3d.training.reference3d.task import ReferenceTask, accuracy

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context


def run(job: "Context") -> None:
    """Write `reference` (a state dict), its `info` with the accuracy on the test volumes, and `metrics`."""
    params = parse(ReferenceParams, job.params["reference"])
    fabric = make_fabric("fp32")
    parts = [open_voxels(job.input("voxels"), split).to(fabric.device) for split in ("train", "val", "test")]
    task = ReferenceTask(parts[0], parts[1], params)
    history = train(task, params.loop(len(parts[0])), params.seed, job.progress, fabric)
    save_state(task.module.state_dict(), job.outputs["reference"])
    info = {
        "sha256": sha256(job.outputs["reference"]),
        "classes": list(parts[0].classes),
        "width": params.width,
        "feature_dim": task.network.feature_dim,
        "training_volumes": len(parts[0]),
        "test_volumes": len(parts[2]),
        "test_accuracy": accuracy(task.network, parts[2]),
        "validation": history.selected["validation"],
        "steps": history.steps,
        "selected_step": history.selected_step,
        "data_notices": list(parts[0].notices),
    }
    job.write_json("info", info)
    job.write_json("metrics", {"rows": history.rows})
