"""What one cluster is like: the user's small file `cluster.yaml`, beside `config.yaml` and never under version control.

It shapes where and how jobs run and no result, so nothing of it stands in a spec.
"""

import os
from pathlib import Path

from pydantic import Field

from robust3d.errors import UserError
from robust3d.params import Params, PathText
from robust3d.parsing import parse
from robust3d.study.places import own_file
from robust3d.study.reading import read_yaml

CLUSTER_FILE = Path(os.environ.get("ROBUST3D_CLUSTER", own_file("config.yaml").with_name("cluster.yaml")))


class Cluster(Params):
    """Partitions, account and limits; every key may be left out where the cluster has a default of its own."""

    partition: str | None = None  # for jobs without a GPU
    gpu_partition: str | None = None  # for jobs with one; none: `partition`
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpu_model: str | None = None  # as in `sinfo -o %G`: h100 for gpu:h100:4
    max_runtime_min: int = Field(1440, ge=1)  # longest time limit to ask for; a longer job goes on where it stopped
    max_mem_mb: int | None = Field(None, ge=1)  # most memory to ask for: what the largest node has
    render_cpus: int = Field(16, ge=1)  # of a render job, all kept busy
    container: PathText = "envs/robust3d.sif"  # image for `--sdm apptainer`, a file or an address
    patience_min: float = Field(15, gt=0)  # no answer of SLURM's, or no job there, for so long: snakemake gives up

    def partition_of(self, gpus: int) -> str | None:
        """The partition for a job with so many GPUs."""
        return (self.gpu_partition or self.partition) if gpus else self.partition


def read_cluster(path: Path = CLUSTER_FILE) -> Cluster:
    """The checked file; without one, a cluster's own defaults.

    Raises:
        UserError: naming the file, the key and what is allowed.
    """
    if not path.exists():
        return Cluster()
    try:
        return parse(Cluster, read_yaml(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
