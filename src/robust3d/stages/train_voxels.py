"""Trains a network on a voxel set: introspective training of 3DWINN, its baseline, or one of the controls."""

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import torch

from robust3d.data.voxel_sets import open_category
from robust3d.files import sha256
from robust3d.models.files import save_state
from robust3d.parsing import parse
from robust3d.training.introspection.params import VoxelTrainingParams
from robust3d.training.introspection.pool import Pool
from robust3d.training.introspection.synthesis import IntrospectiveTraining, make_task
from robust3d.training.loop import train

if TYPE_CHECKING:
    from robust3d.provenance.runner import Context

FACTS = ("labels", "scores")  # of a block, stored per volume; the others per block


def run(job: "Context") -> None:
    """Write `classifier` (network and mean), its `info`, `metrics`, and the pool of `negatives`."""
    params = parse(VoxelTrainingParams, job.params["training"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    volumes, held_out = (
        open_category(job.input("voxels"), split, job.params["category"]).to(device) for split in ("train", "val")
    )
    task = make_task(volumes, held_out, params, job.progress / "negatives")
    history = train(task, params.loop, params.seed, job.progress)
    pool, notices = None, [*volumes.notices, *held_out.notices]
    if isinstance(task, IntrospectiveTraining):
        task.finish()
        pool = task.pool
        notices += task.notices(history.selected["validation"])
    state = {name: value.cpu() for name, value in task.classifier.state_dict().items()}
    save_state(state, job.outputs["classifier"])
    info = {
        "sha256": sha256(job.outputs["classifier"]),
        "classes": list(volumes.classes),
        "category": job.params["category"],
        "resolution": volumes.resolution,
        "training_volumes": len(volumes),
        "validation_volumes": len(held_out),
        "steps": history.steps,
        "selected_step": history.selected_step,
        "precision": history.precision,
        "collapse": history.collapse,
        "validation": history.selected["validation"],
        "passes": _passes(params, history.steps, pool),
        "most_passes": params.passes,
        "synthesis": _summary(pool),
        "notices": list(dict.fromkeys(notices)),
        "training": params.model_dump(mode="json"),
    }
    job.write_json("info", info)
    job.write_json("metrics", {"rows": history.rows})
    _write_negatives(job, pool, volumes.resolution)


def _passes(params: VoxelTrainingParams, steps: int, pool: Pool | None) -> int:
    """Passes of a volume through the network that this run took; a synthesis may end before its cap."""
    synthesised = sum(2 * block.steps * len(block.labels) for block in pool.blocks) if pool else 0
    return steps * params.step_passes + synthesised


def _summary(pool: Pool | None) -> dict[str, Any] | None:
    """How the syntheses ended."""
    blocks = [block for block in pool.blocks if block.iteration] if pool else []
    if not blocks:
        return None
    return {
        "batches": len(blocks),
        "volumes": sum(len(block.labels) for block in blocks),
        "mean_steps": float(np.mean([block.steps for block in blocks])),
        "ended_by_threshold": float(np.mean([block.reached for block in blocks])),
    }


def _write_negatives(job: "Context", pool: Pool | None, resolution: int) -> None:
    """The pool as one file, block after block; `value = low + byte / 255 * (high - low)`."""
    path, size = job.outputs["negatives"], len(pool) if pool else 0
    with h5py.File(path, "w", libver="latest", track_order=False, locking=False) as file:
        values = file.create_dataset(
            "values",
            (size, *(resolution,) * 3),
            "uint8",
            chunks=(1, *(resolution,) * 3) if size else None,
            compression="gzip" if size else None,
            compression_opts=1 if size else None,
        )
        facts = {name: file.create_dataset(name, (size,), "int64") for name in ("iteration", "label")}
        facts |= {name: file.create_dataset(name, (size,), "float64") for name in ("low", "high", "score")}
        first = 0
        for block, content in pool.each() if pool else ():
            rows = slice(first, first + len(content))
            values[rows] = content
            facts["iteration"][rows], facts["label"][rows] = block.iteration, block.labels
            facts["low"][rows], facts["high"][rows] = block.low, block.high
            facts["score"][rows] = block.scores or np.nan
            first = rows.stop
        blocks = [{**vars(block), "labels": None, "scores": None} for block in pool.blocks] if pool else []
        file.attrs["blocks"] = json.dumps(
            [{key: value for key, value in block.items() if value is not None} for block in blocks][:500]
        )
