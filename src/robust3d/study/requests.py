"""Cluster resources of a job: cores, memory, time and GPUs, at the paper's scale.

They affect no result, so they are not part of a spec; on a laptop they are ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for types only: jobs import this module, and imports here enter their code closure
    from robust3d.study.cluster import Cluster

GROWTH = 0.5  # of memory and time with each further attempt, as a share of the first one's


@dataclass(frozen=True, kw_only=True)
class Request:
    """Resources of the first attempt of a job.

    Attributes:
        cpus: cores; 0: the cluster's `render_cpus`.
        mem_mb: memory of the whole job, MB.
        mem_mb_per_cpu: additional memory per core, MB.
        runtime_min: time limit before it is clipped to the cluster's maximum, minutes.
        gpus: GPUs, on one node.
    """

    cpus: int
    mem_mb: int
    runtime_min: int
    mem_mb_per_cpu: int = 0
    gpus: int = 0

    def on(self, cluster: "Cluster", devices: int = 1) -> "Request":
        """The resources on a cluster; `devices` GPUs share the batches of a training."""
        cpus = self.cpus or cluster.render_cpus
        mem_mb = (self.mem_mb + self.mem_mb_per_cpu * cpus) * devices
        return replace(self, cpus=cpus * devices, mem_mb=mem_mb, mem_mb_per_cpu=0, gpus=self.gpus * devices)

    def mem_at(self, attempt: int, cluster: "Cluster") -> int:
        """Memory of an attempt (from 1), MB: a job that ran out of memory gets more."""
        return _grown(self.mem_mb, attempt, cluster.max_mem_mb)

    def runtime_at(self, attempt: int, cluster: "Cluster") -> int:
        """Time limit of an attempt (from 1), minutes."""
        return _grown(self.runtime_min, attempt, cluster.max_runtime_min)


def _grown(first: int, attempt: int, most: int | None) -> int:
    wanted = round(first * (1 + GROWTH * (attempt - 1)))
    return wanted if most is None else min(wanted, most)


def resources(asked: Request, cluster: "Cluster", of_job: Callable[[Any], Request] | None = None) -> dict[str, Any]:
    """The `resources` of a rule: portable ones, and SLURM's if the cluster's file has them.

    Args:
        asked: by the stage.
        cluster: its settings.
        of_job: resources of the job of some wildcards on this cluster; None: the stage's.
    """

    def mine(wildcards: object) -> Request:
        return of_job(wildcards) if of_job else asked.on(cluster)

    def mem_mb(wildcards: object, attempt: int) -> int:
        return mine(wildcards).mem_at(attempt, cluster)

    def runtime(wildcards: object, attempt: int) -> int:
        return mine(wildcards).runtime_at(attempt, cluster)

    def gpu(wildcards: object) -> int:
        return mine(wildcards).gpus

    portable: dict[str, Callable[..., int]] = {"mem_mb": mem_mb, "runtime": runtime}
    if asked.gpus:
        portable["gpu"] = gpu
    named = {
        "slurm_partition": cluster.partition_of(asked.gpus),
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "gpu_model": cluster.gpu_model if asked.gpus else None,
    }
    return portable | {key: value for key, value in named.items() if value is not None}
