"""What a job asks a cluster for: cores, memory, time and GPUs of each stage at the paper's scale.

None of it shapes a result, so none of it stands in a spec; on a laptop nothing is reserved and nothing waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from robust3d.study.cluster import Cluster

GROWTH = 0.5  # of memory and time with each further attempt, as a share of the first one's


@dataclass(frozen=True)
class Request:
    """What the first attempt of a job asks for.

    Attributes:
        cpus: cores.
        mem_mb: memory of the whole job, MB.
        runtime_min: time limit before it is clipped to the cluster's, minutes.
        gpus: GPUs, on one node.
    """

    cpus: int
    mem_mb: int
    runtime_min: int
    gpus: int = 0

    def mem_at(self, attempt: int, cluster: Cluster) -> int:
        """Memory of an attempt (from 1), MB: a job that ran out of it gets more."""
        return _grown(self.mem_mb, attempt, cluster.max_mem_mb)

    def runtime_at(self, attempt: int, cluster: Cluster) -> int:
        """Time limit of an attempt (from 1), minutes."""
        return _grown(self.runtime_min, attempt, cluster.max_runtime_min)


def _grown(first: int, attempt: int, most: int | None) -> int:
    wanted = round(first * (1 + GROWTH * (attempt - 1)))
    return wanted if most is None else min(wanted, most)


REQUESTS: dict[str, Request] = {
    "read_shapes": Request(1, 8_000, 240),  # a block of a class: up to 1,100 meshes of ShapeNetCore
    "read_shard": Request(1, 4_000, 120),  # a block of a class: up to 25,000 images
    "build_shapes": Request(1, 4_000, 60),  # 1,331 meshes
    "render_shard": Request(1, 2_000, 240),  # 2,500 frames of 224 px and 32 samples: up to 90 minutes of one core
    "index_views": Request(1, 2_000, 30),
    "make_textures": Request(1, 4_000, 30),  # 1,200 images
    "draw_set": Request(1, 4_000, 30),  # 156,000 rows
    "pretrain": Request(4, 64_000, 2_880, gpus=1),  # DVR and pixelNeRF: 400,000 steps, all views in memory
    "extract_encoder": Request(1, 4_000, 15),
    "train_classifier": Request(4, 64_000, 1_440, gpus=1),  # 60 epochs of 130,000 images (20 GB at 224 px) with PGD-7
    "attack_classifier": Request(4, 16_000, 1_440, gpus=1),  # AutoAttack: 13,000 images, up to five budgets
    "test_shift": Request(4, 16_000, 60, gpus=1),
}
RENDER_MB = 1_000  # of a Blender process


def request(stage: str, cluster: Cluster, devices: int = 1) -> Request:
    """The request of a stage's jobs on this cluster; `devices` share the batches of a training."""
    asked = REQUESTS[stage]
    if stage == "render_shard":
        return replace(asked, cpus=cluster.render_cpus, mem_mb=asked.mem_mb + RENDER_MB * cluster.render_cpus)
    return replace(asked, cpus=asked.cpus * devices, mem_mb=asked.mem_mb * devices, gpus=asked.gpus * devices)


def resources(stage: str, cluster: Cluster, devices: Callable[[Any], int] = lambda wildcards: 1) -> dict[str, Any]:
    """The `resources` of a rule: portable ones, and SLURM's where the cluster's file names them.

    Args:
        stage: of the rule.
        cluster: what it is like.
        devices: how many GPUs share the batches of the job that the wildcards name.
    """
    first = request(stage, cluster)

    def mem_mb(wildcards: object, attempt: int) -> int:
        return request(stage, cluster, devices(wildcards)).mem_at(attempt, cluster)

    def runtime(wildcards: object, attempt: int) -> int:
        return first.runtime_at(attempt, cluster)

    def gpu(wildcards: object) -> int:
        return request(stage, cluster, devices(wildcards)).gpus

    portable: dict[str, Callable[..., int]] = {"mem_mb": mem_mb, "runtime": runtime}
    if first.gpus:
        portable["gpu"] = gpu
    named = {
        "slurm_partition": cluster.partition_of(first.gpus),
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "gpu_model": cluster.gpu_model if first.gpus else None,
    }
    return portable | {key: value for key, value in named.items() if value is not None}
