"""SLURM as the head sees it: programs, partitions, limits, GPUs, account, and how finished jobs are recognised."""

import getpass
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robust3d.doctor.commands import ask
from robust3d.doctor.findings import Finding, not_checked, ok, one_line, problem, warning
from robust3d.study.cluster import Cluster

PROGRAMS = ("sbatch", "srun", "squeue", "sinfo", "scancel", "scontrol")
USABLE = ("idle", "mixed", "allocated", "completing", "planned", "reserved")


@dataclass(frozen=True)
class Node:
    """A node as a member of one partition (`sinfo -N`).

    Attributes:
        partition: its name.
        is_default: whether jobs that name no partition go there.
        is_up: whether the partition takes jobs.
        limit_min: longest time limit, in minutes; None: no limit.
        cpus: of the node.
        gpus: GPU model -> count; model "" where SLURM has no name for it.
        state: such as idle, mixed, down.
        name: of the node.
    """

    partition: str
    is_default: bool
    is_up: bool
    limit_min: int | None
    cpus: int
    gpus: dict[str, int]
    state: str
    name: str

    @property
    def is_usable(self) -> bool:
        """Whether the node runs jobs, now or after others; idle~ only sleeps, but idle* does not answer."""
        return self.state.rstrip("~#!%$@^-") in USABLE


def parse_minutes(text: str) -> int | None:
    """SLURM's time limit ([days-]hours:minutes:seconds, minutes:seconds) in whole minutes; None: no limit."""
    if not re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}", text):
        return None  # infinite, UNLIMITED, n/a
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:
        hours, minutes = [*parts, 0][:2]
        return int(days) * 1440 + hours * 60 + minutes
    return parts[0] * 60 + parts[1] if len(parts) == 3 else parts[0]


def parse_gpus(gres: str) -> dict[str, int]:
    """GPUs in a list of generic resources: gpu:h100:4(S:0-1) is {"h100": 4}, gpu:2 is {"": 2}."""
    found: dict[str, int] = {}
    for resource in re.sub(r"\([^)]*\)", "", gres).split(","):
        kind, *rest = resource.split(":")
        if kind == "gpu":
            count = int(rest.pop()) if rest and rest[-1].isdigit() else 1
            model = rest[0] if rest else ""
            found[model] = found.get(model, 0) + count
    return found


def parse_nodes(text: str) -> list[Node]:
    """The lines of `sinfo -h -N -o "%P|%a|%l|%c|%G|%T|%N"`."""
    nodes = []
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) != 7:
            continue
        partition, available, limit, cpus, gres, state, name = parts
        count = re.match(r"\d+", cpus)
        nodes.append(
            Node(
                partition.rstrip("*"),
                partition.endswith("*"),
                available == "up",
                parse_minutes(limit),
                int(count[0]) if count else 0,
                parse_gpus(gres),
                state.lower(),
                name,
            )
        )
    return nodes


def is_installed() -> bool:
    """Whether this machine can submit jobs."""
    return shutil.which("sbatch") is not None


def check_slurm(cluster: Cluster, profile: dict[str, object], gpus: int = 1) -> Iterator[Finding]:
    """All that can be asked without a job.

    Args:
        cluster: the user's file, or a cluster's defaults.
        profile: options of profiles/slurm.
        gpus: most that one training of the study shares.
    """
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        mend = "load the site's SLURM module, or work on a login node"
        yield problem("SLURM programs", f"not on PATH: {', '.join(missing)}", mend)
    ping = ask(["sinfo", "-h", "-N", "-o", "%P|%a|%l|%c|%G|%T|%N"])
    if not ping.ok:
        mend = "work on a login node of the cluster, or ask its administrators whether slurmctld runs"
        yield problem("SLURM", f"the controller does not answer: {one_line(ping.error)}", mend)
        return
    nodes = parse_nodes(ping.out)
    names = sorted({node.partition for node in nodes})
    yield ok("SLURM", f"the controller answers; partitions {', '.join(names) or 'none'}")
    yield from check_head()
    yield from check_status_method(profile)
    yield from check_partitions(cluster, nodes, gpus)
    yield from check_account(cluster)
    yield from check_submission(cluster, nodes, gpus)


def check_head() -> Iterator[Finding]:
    """Where snakemake itself would run."""
    job = os.environ.get("SLURM_JOB_ID")
    if job:
        text = (
            f"this shell is inside SLURM job {job}: snakemake would end with it, and its jobs would inherit its limits"
        )
        yield problem("head", text, "start snakemake on a login node, in tmux or screen")
    elif not (os.environ.get("TMUX") or os.environ.get("STY")):
        yield warning("head", "not inside tmux or screen: snakemake ends when the connection does", "run it in tmux")
    else:
        yield ok("head", "outside of SLURM jobs, inside tmux or screen")
    own = os.environ.get("SLURM_CONF")
    if own and not Path("/etc/slurm/slurm.conf").exists():
        text = f"the cluster is found by SLURM_CONF={own} only, which snakemake's executor removes inside jobs"
        mend = "if jobs end with `Invalid job id`, ask for /etc/slurm/slurm.conf on the nodes"
        yield warning("head", text, mend)


def check_status_method(profile: dict[str, object]) -> Iterator[Finding]:
    """How snakemake learns that a job has ended; with a method that does not answer it waits for ever.

    The executor falls back from squeue to sacct where finished jobs leave the queue within three polls.
    """
    check = "job status"
    answer = ask(["scontrol", "show", "config"])
    if not answer.ok:
        yield not_checked(check, f"scontrol show config: {one_line(answer.error)}")
        return
    config = dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", answer.out, flags=re.MULTILINE))
    age = re.match(r"\d+", config.get("MinJobAge", ""))
    age_s = int(age[0]) if age else 0
    poll_s = int(str(profile.get("slurm-init-seconds-before-status-checks", 40)))
    method = str(profile.get("slurm-status-command") or "sacct")
    accounting = config.get("AccountingStorageType", "accounting_storage/none").rpartition("/")[2]
    if method == "squeue" and age_s >= 3 * poll_s:
        yield ok(
            check, f"squeue (profiles/slurm): finished jobs stay in the queue for {age_s} s, asked every {poll_s} s"
        )
        return
    asked = "slurm-status-command" in profile
    why = f"profiles/slurm asks {method}" if asked else "profiles/slurm names no slurm-status-command, so it is sacct"
    if method == "squeue":
        why += f", which forgets jobs after MinJobAge = {age_s} s, so sacct is used"
    if accounting in ("none", "(null)", ""):
        keys = "slurm-status-command: squeue"
        if age_s < 3 * poll_s:
            keys += f" and slurm-init-seconds-before-status-checks: {max(age_s // 3, 1)}"
        mend = f"set {keys} in profiles/slurm/profile.yaml"
        yield problem(check, f"{why}, but accounting is disabled: snakemake would wait forever", mend)
        return
    sacct = ask(["sacct", "-X", "-n", "-P", "--format=JobIdRaw,State", "--name", "robust3d-doctor"])
    if sacct.ok:
        yield ok(check, f"sacct answers ({why})")
    else:
        mend = "set slurm-status-command: squeue in profiles/slurm/profile.yaml, or ask why accounting does not answer"
        yield problem(check, f"{why}, but it does not answer: {one_line(sacct.error)}", mend)


def nodes_of(partition: str | None, nodes: list[Node]) -> list[Node]:
    """The members of a partition; of the default one where none is named."""
    return [node for node in nodes if (node.partition == partition if partition else node.is_default)]


def check_partitions(cluster: Cluster, nodes: list[Node], most_gpus: int) -> Iterator[Finding]:
    """The two kinds of partition that jobs go to."""
    known = ", ".join(sorted({node.partition for node in nodes})) or "none"
    for key, gpus in (("partition", 0), ("gpu_partition", most_gpus)):
        partition = cluster.partition_of(gpus)
        members = nodes_of(partition, nodes)
        check = f"partition {partition or '(default)'} for jobs {'with' if gpus else 'without'} a GPU"
        if not members:
            text = f"there is no partition {partition}" if partition else "the cluster has no default partition"
            yield problem(check, f"{text}; there is: {known}", f"correct {key} in cluster.yaml")
            continue
        yield from _check_partition(check, members, cluster)
        if gpus:
            yield from _check_gpus(check, members, cluster, gpus)
        else:
            yield from _check_cpus(check, members, cluster)


def _check_partition(check: str, members: list[Node], cluster: Cluster) -> Iterator[Finding]:
    usable = sum(node.is_usable for node in members)
    if not members[0].is_up:
        yield problem(check, "the partition is not up", "name another one in cluster.yaml, or wait")
    elif not usable:
        states = ", ".join(sorted({node.state for node in members}))
        yield problem(check, f"none of its {len(members)} nodes takes jobs ({states})", "name another one, or wait")
    else:
        yield ok(check, f"{usable} of {len(members)} nodes take jobs")
    limit = members[0].limit_min
    if limit is not None and cluster.max_runtime_min > limit:
        text = (
            f"time limit {limit} min is below max_runtime_min {cluster.max_runtime_min}: longer jobs would never start"
        )
        yield problem(check, text, f"set max_runtime_min: {limit} in cluster.yaml; jobs go on where they stopped")


def _check_cpus(check: str, members: list[Node], cluster: Cluster) -> Iterator[Finding]:
    most = max(node.cpus for node in members)
    if most < cluster.render_cpus:
        text = f"its largest node has {most} CPUs, render_cpus asks for {cluster.render_cpus}"
        yield problem(check, text, f"set render_cpus: {most} in cluster.yaml")


def _check_gpus(check: str, members: list[Node], cluster: Cluster, gpus: int) -> Iterator[Finding]:
    models: dict[str, int] = {}
    for node in members:
        for model, count in node.gpus.items():
            models[model] = max(models.get(model, 0), count)
    there = ", ".join(f"{model or 'of no named model'} (up to {n} a node)" for model, n in sorted(models.items()))
    if not models:
        text = "none of its nodes has a GPU, so jobs that ask for one would never start"
        yield problem(check, text, "name a partition with GPUs as gpu_partition in cluster.yaml (sinfo -o '%P %G')")
        return
    if cluster.gpu_model is not None and cluster.gpu_model not in models:
        named = [model for model in sorted(models) if model]
        mend = f"set gpu_model: {named[0]} in cluster.yaml" if named else "take gpu_model out of cluster.yaml"
        yield problem(check, f"no node has GPUs of model {cluster.gpu_model}; there is: {there}", mend)
        return
    most = models[cluster.gpu_model] if cluster.gpu_model else max(models.values())
    if most < gpus:
        text = f"a node has at most {most} such GPUs, a training of the study shares {gpus}"
        yield problem(check, text, f"set devices: {most} in the configuration (a key of trainings), or fewer")
        return
    yield ok(check, f"GPUs: {there}")


def check_account(cluster: Cluster) -> Iterator[Finding]:
    """Whether account and quality of service are the user's; many sites restrict who may ask."""
    user = getpass.getuser()
    answer = ask(["sacctmgr", "-n", "-P", "show", "assoc", f"user={user}", "format=account,qos"])
    if not answer.ok:
        yield not_checked("account", f"sacctmgr: {one_line(answer.error, 160)}")
        return
    rows = [line.split("|") for line in answer.out.splitlines() if line.strip()]
    accounts = sorted({row[0] for row in rows})
    qualities = sorted({name for row in rows for name in row[-1].split(",") if name}) if rows else []
    if not accounts:
        yield not_checked("account", f"sacctmgr shows no account of {user}; the site may restrict this query")
        return
    there = ", ".join(accounts)
    if cluster.account and cluster.account.lower() not in accounts:
        mend = f"set account: {accounts[0]} in cluster.yaml"
        yield problem("account", f"{user} has no account {cluster.account}; there is: {there}", mend)
    elif cluster.qos and qualities and cluster.qos not in qualities:
        text = f"{user} may not use qos {cluster.qos}; there is: {', '.join(qualities)}"
        yield problem("account", text, f"set qos: {qualities[0]} in cluster.yaml")
    else:
        yield ok("account", cluster.account or f"the default one; {user} has {there}")


def job_options(cluster: Cluster, gpus: int, minutes: int, cpus: int) -> list[str]:
    """Options of srun and sbatch for a job as the workflow asks for it."""
    options = [f"--time={minutes}", "--nodes=1", "--ntasks=1", f"--cpus-per-task={cpus}"]
    named = {"partition": cluster.partition_of(gpus), "account": cluster.account, "qos": cluster.qos}
    options += [f"--{key}={value}" for key, value in named.items() if value]
    if cluster.constraint:
        options.append(f"--constraint={cluster.constraint}")
    if gpus:
        options.append(f"--gpus={cluster.gpu_model}:{gpus}" if cluster.gpu_model else f"--gpus={gpus}")
    return options


def check_submission(cluster: Cluster, nodes: list[Node], most_gpus: int) -> Iterator[Finding]:
    """SLURM's own word on the jobs to come: `sbatch --test-only` queues nothing."""
    kinds = [("a render job", 0, cluster.render_cpus), ("a training job", most_gpus, 1)]
    for kind, gpus, cpus in kinds:
        if not nodes_of(cluster.partition_of(gpus), nodes):
            yield not_checked(f"submit {kind}", "its partition does not exist")
            continue
        options = job_options(cluster, gpus, cluster.max_runtime_min, cpus)
        answer = ask(["sbatch", "--test-only", *options, "--wrap", "true"])
        if answer.ok:
            yield ok(f"submit {kind}", one_line(answer.error or answer.out, 120))
        else:
            mend = f"change cluster.yaml until this is accepted: sbatch --test-only {' '.join(options)} --wrap true"
            yield problem(f"submit {kind}", f"SLURM refuses it: {one_line(answer.error)}", mend)
