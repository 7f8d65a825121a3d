"""Looks at project, disk and cluster before anyone waits in a queue: `robust3d doctor`.

One finding per line, each problem with its remedy. Nothing that makes results imports this package.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from robust3d.doctor import disk, nodes, project, slurm
from robust3d.doctor.findings import Finding, not_checked, problem
from robust3d.errors import UserError
from robust3d.study.cluster import CLUSTER_FILE, Cluster
from robust3d.study.reading import read_yaml

PROFILES = (Path("profiles/slurm/profile.yaml"), Path("profiles/slurm/config.yaml"))


def examine(
    overlays: Sequence[Path],
    quick: bool = False,
    wait_s: int = 60,
    cluster_file: Path = CLUSTER_FILE,
    chosen: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    """Look at everything, the cheap things first.

    Args:
        overlays: of config.yaml.
        quick: leave out what runs Blender, torch or a job.
        wait_s: how long to wait in the queue for each of two small jobs.
        cluster_file: the user's description of the cluster.
        chosen: values for `scale` and `objects`, whose overlays are merged between config.yaml and the others.
    """
    study, findings = project.read_configuration(overlays, chosen)
    yield from findings
    cluster, findings = project.read_cluster_file(cluster_file)
    yield from findings
    yield from project.check_packages()
    plan = None
    if study is not None:
        plan, finding = project.plan_study(study)
        yield finding
        yield from project.check_data_sets(study)
    else:
        yield from project.no_study()
    if study is not None:  # else this may not be the project's folder, where nothing should be written
        yield from disk.check_folders(study, plan)
    reason = "--quick leaves out the render and the GPU" if quick else ""
    reason = reason if study is not None else "the configuration cannot be read"
    gpus = max((job.devices for job in plan.jobs.values()), default=1) if plan is not None else 1
    yield from _check_places(cluster, cluster_file, reason, wait_s, gpus)


def _check_places(cluster: Cluster, cluster_file: Path, left_out: str, wait_s: int, gpus: int = 1) -> Iterator[Finding]:
    """SLURM and the machines where jobs run, these not where there is a reason to leave them out."""
    target: Cluster | None = cluster
    if slurm.is_installed():
        is_healthy = True
        for finding in slurm.check_slurm(cluster, read_profile(), gpus):
            if finding.check == "SLURM" and finding.state == "PROBLEM":
                is_healthy = False
                if not cluster_file.exists():  # SLURM's programs alone, as on a laptop, are not a cluster
                    target = None
                    finding = not_checked("SLURM", f"no {cluster_file}, and {finding.text}; jobs run on this machine")
            yield finding
        if target is not None and not is_healthy:
            yield not_checked("nodes", "SLURM does not answer")
            return
    elif cluster_file.exists():
        mend = f"work on a login node, or remove {cluster_file} to run on this machine"
        yield problem("SLURM", f"{cluster_file} describes a cluster, but sbatch is not on PATH", mend)
        return
    else:
        yield not_checked("SLURM", f"neither sbatch nor {cluster_file} is here: jobs run on this machine")
        target = None
    if left_out:
        yield not_checked("nodes" if target else "this machine", left_out)
        return
    for gpu in (False, True):
        yield from nodes.check_node(target, gpu, disk.RESULTS, wait_s, gpus)


def read_profile() -> dict[str, object]:
    """The options of profiles/slurm; none where it cannot be read."""
    for path in PROFILES:
        try:
            return read_yaml(path)
        except UserError:
            continue
    return {}
