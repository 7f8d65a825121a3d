"""Settings of a cluster: the user's small file `cluster.yaml`, beside `config.yaml` and not under version control.

They affect where and how jobs run, but no result, so they are not part of a spec.
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
    """Partitions, account and limits; keys may be left out where the cluster has a default."""

    partition: str | None = None  # for jobs without a GPU
    gpu_partition: str | None = None  # for jobs with one; none: `partition`
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpu_model: str | None = None  # as in `sinfo -o %G`: h100 for gpu:h100:4
    max_runtime_min: int = Field(1440, ge=1)  # longest time limit to request; a longer job resumes where it stopped
    max_mem_mb: int | None = Field(None, ge=1)  # most memory to ask for: what the largest node has
    render_cpus: int = Field(16, ge=1)  # of a render job, all kept busy
    container: PathText = "envs/robust3d.sif"  # image for `--sdm apptainer`, a file or an address
    patience_min: float = Field(15, gt=0)  # snakemake gives up after this time without an answer or a job of SLURM

    def partition_of(self, gpus: int) -> str | None:
        """The partition for a job with this number of GPUs."""
        return (self.gpu_partition or self.partition) if gpus else self.partition


def read_cluster(path: Path = CLUSTER_FILE) -> Cluster:
    """Read and check the file; without one, the cluster's defaults.

    Raises:
        UserError: names the file, the key and the allowed values.
    """
    if not path.exists():
        return Cluster()
    try:
        return parse(Cluster, read_yaml(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
