# What every rule needs: the plan of the study, and the three views of a job that a rule declares.

import json
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

import robust3d

from robust3d.errors import UserError
from robust3d.provenance.files import sha256
from robust3d.provenance.store import trouble as store_trouble
from robust3d.study.cluster import read_cluster
from robust3d.study.config import command_line, read_study
from robust3d.study.needs import data_folders
from robust3d.study.on_disk import OnDisk
from robust3d.study.places import own_file
from robust3d.study.plan import FIGURES, PLOTS, TABLES, Plan, target_path
from robust3d.study.requests import request, resources
from robust3d.study.stages import STAGES
from robust3d.study.watchdog import watch_slurm


def load():
    """The study as `robust3d` loads it: a `configfile:` would merge in another way, and read numbers as text."""
    settings, default = workflow.config_settings, own_file("config.yaml")
    workflow.configfiles.append(str(default))  # for Snakemake's reports and archives
    if settings.replace_workflow_config:
        raise UserError("--replace-workflow-config: overlays lie over config.yaml here; edit that or a copy of it")
    if workflow.modifier.skip_configfile:  # this is a module: its user gives values where others give files
        return read_study([default], config)
    return read_study([default, *settings.configfiles], command_line(settings.config_args))


try:
    CLUSTER = read_cluster()
    # A node's process means the data that the process that planned for it has seen.
    PLAN = Plan(load(), OnDisk.handed_on() if workflow.remote_exec else None)
except UserError as error:
    raise WorkflowError(str(error)) from None


DRY_RUN = any(flag in ("--dry-run", "--dryrun") or flag[:1] == "-" != flag[1:2] and "n" in flag for flag in sys.argv)


def read_the_same(record):
    """Whether the small files that a job read, metrics and outcomes say, still have the bytes it read."""
    files = [file for files in record["inputs"].values() for file in files if file["bytes"] < 1_000_000]
    return all(sha256(Path(file["path"])) == file["sha256"] for file in files if Path(file["path"]).exists())


def named():
    """The tables and figures on the command line; all tables where nothing is named there."""
    found = FIGURES if "figures" in sys.argv else ()
    found = [name for name in TABLES + FIGURES if name in found or any(name in argument for argument in sys.argv)]
    return found or ([] if "views" in sys.argv else list(TABLES))


def retire_stale_targets():
    """Tables and figures of another study or of other code make way, whatever Snakemake remembers of them.

    Their names are stable, so a file that is there says nothing; its record does.
    """
    for name in named():
        job = PLAN.target(name)
        try:
            record = json.loads(Path(job.output("record")).read_text())
        except (OSError, ValueError):
            continue  # being made, or never made
        made_from = {key: [file["path"] for file in files] for key, files in record["inputs"].items()}
        wanted = {key: paths for key, paths in job.input_paths().items() if paths}
        if record["spec"] == json.loads(job.spec) and made_from == wanted and read_the_same(record):
            continue
        logger.warning(f"results/{name} is of another study, code or input; it is made anew when asked for")
        if not DRY_RUN:
            for output in STAGES[job.stage].outputs:
                Path(job.output(output)).unlink(missing_ok=True)


def asked_for():
    """The jobs of what the command line names."""
    if any("download" in argument for argument in sys.argv):
        return []
    families = PLAN.study.families if "views" in sys.argv else []
    return [PLAN.target(name) for name in named()] + [PLAN.index_views(family) for family in families]


def check_data():
    """Data that somebody has to download is missed before anything is rendered or trained."""
    missing = [message for message in data_folders(asked_for()).values() if message]
    if missing and not DRY_RUN:
        raise WorkflowError("\n".join(missing))
    for message in missing:
        logger.warning(message)


if workflow.is_main_process:
    logger.info(f"Study: {PLAN.study.study}")
    try:
        check_data()
        retire_stale_targets()
    except UserError as error:
        raise WorkflowError(str(error)) from None


def find_job(stage, wildcards):
    """The planned job behind a path; a path of another study has none."""
    try:
        if stage in ("tabulate", "plot", "draw"):
            return PLAN.target(wildcards.job)
        if (stage, wildcards.job) not in PLAN.jobs:
            PLAN.every_job()  # what is asked for is not the table or figure that it is for
        return PLAN.jobs[stage, wildcards.job]
    except UserError as error:
        raise WorkflowError(str(error)) from None
    except KeyError:
        if workflow.remote_exec:
            why = (
                "the code, the configuration or the lock has changed since this job was planned; start snakemake again"
            )
            raise WorkflowError(f"{stage}/{wildcards.job}: {why}") from None
        raise WorkflowError(f"{stage}/{wildcards.job} is not part of this study") from None


def inputs(stage):
    """Named input files of a stage's jobs.

    A name with a digest is an identity, so what it stands for cannot have become newer in any sense that counts:
    inputs are ancient. `retire_stale_targets` looks at what the inputs of stable names say.
    """

    def paths(wildcards):
        return {name: ancient(files) for name, files in find_job(stage, wildcards).input_paths().items() if files}

    return paths


def bulk(stage):
    """Big files that a manifest among the inputs names: needed, but their times decide nothing."""
    return lambda wildcards: find_job(stage, wildcards).bulk_paths()


def outputs(stage):
    """Named output files of a stage, the record last."""
    return {
        name: pattern.format(results="results", stage=stage, job="{job}", label="{job}")
        for name, pattern in STAGES[stage].outputs.items()
    }


def spec(stage):
    """All that a job is told, as one canonical string."""
    return lambda wildcards: find_job(stage, wildcards).spec


def files(stage):
    """The job's named files as command line flags."""

    def flags(wildcards):
        job = find_job(stage, wildcards)
        read = [f"--input {name} {' '.join(paths)}" for name, paths in job.input_paths().items() if paths]
        written = [f"--output {name} {job.output(name)}" for name in STAGES[stage].outputs]
        return " ".join(read + written)

    return flags


def on_cluster():
    """Whether this process submits jobs to a cluster, or is such a job."""
    plugin = workflow.executor_plugin
    return workflow.remote_exec or plugin is not None and plugin.common_settings.non_local_exec


def cpus(stage):
    """Cores of a stage's jobs: one on a laptop, where jobs run side by side."""
    share = devices(stage)
    return lambda wildcards: request(stage, CLUSTER, share(wildcards)).cpus if on_cluster() else 1


def devices(stage):
    """How many GPUs share the batches of a stage's jobs."""
    return lambda wildcards: find_job(stage, wildcards).devices


# The code is that of the checkout that planned the job, whatever environment or container the line runs in.
CODE = shlex.quote(str(Path(robust3d.__file__).parents[1]))
ROBUST3D = f"PYTHONPATH={CODE} python -m robust3d.cli".replace("{", "{{").replace("}", "}}")


def run(stage):
    """The shell line of a rule."""
    store = f" --store {shlex.quote(PLAN.study.store)}" if PLAN.study.store else ""
    return (
        ROBUST3D
        + f" run {stage}{store}".replace("{", "{{").replace("}", "}}")
        + " --job {wildcards.job} --threads {threads} {params.files} --spec {params.spec:q}"
    )


# The plugin for SLURM would ask the accounting database about an account before each submission, and drop the job
# without a word if that did not answer; sbatch reads this.
if CLUSTER.account is not None:
    os.environ["SBATCH_ACCOUNT"] = CLUSTER.account


def slurm_run():
    """The name that all SLURM jobs of this process bear; none where it submits none."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    return getattr(workflow.scheduler.get_executor(jobs[0]), "run_uuid", None) if jobs else None


onstart:
    PLAN.on_disk.hand_on()
    if workflow.is_main_process and PLAN.study.store and (complaint := store_trouble(Path(PLAN.study.store))):
        logger.warning(f"store: {complaint}; jobs run without")
    if slurm_run():
        watch_slurm(slurm_run(), CLUSTER.patience_min)
