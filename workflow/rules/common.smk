# What every rule needs: the plan of the study, and the three views of a job that a rule declares.

import functools
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.logging import logger

import robust3d

from robust3d.errors import UserError
from robust3d.provenance.owner import become_head
from robust3d.provenance.published import read_record, read_the_same, wrong
from robust3d.provenance.store import HEAD
from robust3d.provenance.store import trouble as store_trouble
from robust3d.study.cluster import read_cluster
from robust3d.study.config import command_line, read_study
from robust3d.study.needs import data_folders, data_of
from robust3d.study.on_disk import OnDisk
from robust3d.study.places import own_file, shipped_file
from robust3d.study.plan import Plan
from robust3d.study.registry import MAIN
from robust3d.study.requests import resources
from robust3d.study.stages import STAGES
from robust3d.study.targets import every_target, no_target, published_paths, target_path, targets
from robust3d.study.watchdog import watch_slurm


def refuse(message):
    """End with a plain message, also with `--quiet all`: exceptions are told with lines of Snakemake's code, or not."""
    print(message, file=sys.stderr, flush=True)
    sys.exit(1)


def load():
    """The study as `robust3d` loads it: a `configfile:` would merge in another way, and read numbers as text."""
    settings, is_module = workflow.config_settings, workflow.modifier.skip_configfile
    default = (
        shipped_file("config.yaml") if is_module else own_file("config.yaml")
    )  # a module's user has one of another
    workflow.configfiles.append(str(default))  # for Snakemake's reports and archives
    if settings.replace_workflow_config:
        raise UserError("--replace-workflow-config: overlays lie over config.yaml here; edit that or a copy of it")
    if is_module:  # its user gives values where others give files
        return read_study([default], config)
    return read_study([default, *settings.configfiles], command_line(settings.config_args))


try:
    CLUSTER = read_cluster()
    # A node's process means the data that the process that planned for it has seen.
    PLAN = Plan(load(), OnDisk.handed_on() if workflow.remote_exec else None)
except UserError as error:
    refuse(str(error))


if workflow.is_main_process:
    logger.info(f"Study: {PLAN.study.study}")
    if not os.access(".snakemake" if os.path.exists(".snakemake") else ".", os.W_OK):
        refuse(
            f"{os.getcwd()}: this folder cannot be written, and Snakemake keeps its notes in its .snakemake; "
            f"work in one of your own: snakemake --snakefile {workflow.main_snakefile} --directory DIR"
        )


def target(name):
    """The job of a table or figure."""
    try:
        return PLAN.target(name)
    except UserError as error:
        refuse(str(error))


@functools.cache
def compare_published(name):
    """Have a table or figure published anew where its stable names do not hold this study's, whole.

    Nothing is touched here: Snakemake makes "forced" files anew if it comes to running jobs, whatever it remembers.
    """
    job, forced = target(name), workflow.dag.forcefiles
    stable, made = published_paths(name).values(), [job.output(output) for output in STAGES[job.stage].outputs]
    if job.stage in {rule.name for rule in workflow.dag.forcerules} or not forced.isdisjoint([*stable, *made]):
        forced.update(stable, made)  # somebody forces one of the two: it is meant to be made, not only copied
    why = wrong(job)
    if why and Path(target_path(name)).exists():
        forced.update(stable)
        logger.warning(f"{target_path(name)} {why}; it stays until that of study {PLAN.study.study!r} is made")
    record = read_record(job.output("record"))
    if why and record is not None and not read_the_same(record):
        forced.update(made)


@functools.cache
def warn(message):
    logger.warning(message)


def check_data():
    """Data that somebody has to download is missed before anything is rendered or trained."""
    jobs = [PLAN.jobs.get((job.rule.name, job.wildcards_dict.get("job"))) for job in workflow.dag.needrun_jobs()]
    missing = [message for message in data_folders(job for job in jobs if job).values() if message]
    if missing:
        refuse("\n".join(missing))


def find_job(stage, wildcards):
    """The planned job behind a path; a path of another study has none."""
    try:
        if (stage, wildcards.job) not in PLAN.jobs:
            PLAN.every_job()  # what is asked for is not the table or figure that it is for
        return PLAN.jobs[stage, wildcards.job]
    except UserError as error:
        refuse(str(error))
    except KeyError:
        why = f"is not part of study {PLAN.study.study!r}"
        if workflow.remote_exec:
            why = (
                "the code, the configuration or the lock has changed since this job was planned; start snakemake again"
            )
        refuse(f"{stage}/{wildcards.job}: {why}")


def inputs(stage):
    """Named input files of a stage's jobs.

    A name with a digest is an identity, so what it stands for cannot have become newer in any sense that counts: inputs
    of a finished job are ancient. `compare_published` looks at what the inputs of tables and figures say. Those of a job
    with something missing are not: else Snakemake passes it over where it makes one of its inputs again, and says that
    all is done. Under `bulk` stand big files that a manifest among the inputs names.
    """

    def paths(wildcards):
        job = find_job(stage, wildcards)
        for message in data_of(job).values() if workflow.dryrun else ():
            if message:
                warn(message)
        finished = all(os.path.exists(job.output(name)) for name in STAGES[stage].outputs)
        named = {name: files for name, files in [*job.input_paths().items(), ("bulk", job.bulk_paths())] if files}
        return {name: ancient(files) for name, files in named.items()} if finished else named

    return paths


def finished(wildcards):
    """What the job of a table or figure makes, by output."""
    job = target(wildcards.job)
    if workflow.is_main_process:
        compare_published(wildcards.job)
    return {name: ancient(job.output(name)) for name in STAGES[job.stage].outputs}


def outputs(stage):
    """Named output files of a stage, the record last."""
    return {
        name: pattern.format(results="results", stage=stage, job="{job}")
        for name, pattern in STAGES[stage].outputs.items()
    }


def published(stage):
    """The stable names of a stage's tables or figures, one of them shown by `snakemake --report`.

    They are "updated", so that Snakemake leaves the old ones where they are until a job replaces them.
    """
    told = STAGES[stage]
    files = {output: pattern.format(results="results", label="{job}") for output, pattern in told.published.items()}
    caption, category = f"../report/{told.shown.caption}", told.shown.category
    name = told.shown.output
    shown = report(files[name], caption=caption, category=category, labels={"target": "{job}"})
    return {output: update(file) for output, file in (files | {name: shown}).items()}


def spec(stage):
    """All that a job is told, as one canonical string."""
    return lambda wildcards: find_job(stage, wildcards).spec


def files(stage):
    """The job's named files as command line flags."""

    def flags(wildcards):
        job = find_job(stage, wildcards)
        read = [f"--input {shlex.quote(name)} {' '.join(paths)}" for name, paths in job.input_paths().items() if paths]
        written = [f"--output {name} {job.output(name)}" for name in STAGES[stage].outputs]
        return " ".join(read + written)

    return flags


def copies(wildcards):
    """The stable names as command line flags."""
    return " ".join(f"--output {name} {path}" for name, path in published_paths(wildcards.job).items())


# Every path that a rule makes, as a regular expression.
MADE = "|".join(
    re.escape(pattern.format(results="results", stage=stage, job="<job>")).replace("<job>", "[^/]+")
    for stage, told in STAGES.items()
    for pattern in told.outputs.values()
)
MADE += "|" + "|".join(re.escape(path) for name in every_target() for path in published_paths(name).values())
MADE += r"|resources/\.downloaded/[^/]+\.json"


def no_such_target(wildcards):
    """Answer for a name that nothing makes."""
    refuse(no_target(wildcards.name, [rule.name for rule in workflow.rules if not rule.has_wildcards()]))


def on_cluster():
    """Whether this process submits jobs to a cluster, or is such a job."""
    plugin = workflow.executor_plugin
    return workflow.remote_exec or plugin is not None and plugin.common_settings.non_local_exec


def cpus(stage):
    """Cores of a stage's jobs: one on a laptop, where jobs run side by side."""
    asked = request(stage)
    return lambda wildcards: asked(wildcards).cpus if STAGES[stage].request and on_cluster() else 1


def request(stage):
    """What each of a stage's jobs asks of the cluster."""

    def asked(wildcards):
        job = find_job(stage, wildcards)
        return job.request.on(CLUSTER, job.devices)

    return asked


# The code is that of the checkout that planned the job, whatever environment or container the line runs in.
CODE = shlex.quote(str(Path(robust3d.__file__).parents[1]))
ROBUST3D = f"PYTHONPATH={CODE} python -m robust3d.cli".replace("{", "{{").replace("}", "}}")


# The shell line of every stage's rule.
STORE = f" --store {shlex.quote(PLAN.study.store)}".replace("{", "{{").replace("}", "}}") if PLAN.study.store else ""
RUN = f"{ROBUST3D} run{STORE} --job {{wildcards.job}} --threads {{threads}} {{params.files}} --spec {{params.spec:q}}"


# The plugin for SLURM would ask the accounting database about an account before each submission, and drop the job
# without a word if that did not answer; sbatch reads this.
if CLUSTER.account is not None:
    os.environ["SBATCH_ACCOUNT"] = CLUSTER.account


def slurm_run():
    """The name that all SLURM jobs of this process bear; none where it submits none."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    return getattr(workflow.scheduler.get_executor(jobs[0]), "run_uuid", None) if jobs else None


onstart:
    if workflow.touch:
        refuse("--touch: a file's time decides nothing here, so there is nothing to touch")
    check_data()
    try:
        become_head(HEAD, ", ".join(sorted(workflow.dag_settings.targets)) or "tables 1 to 4")
    except UserError as error:
        refuse(str(error))
    PLAN.on_disk.hand_on()
    if workflow.is_main_process and PLAN.study.store and (complaint := store_trouble(Path(PLAN.study.store))):
        logger.warning(f"store: {complaint}; jobs run without")
    if slurm_run():
        watch_slurm(slurm_run(), CLUSTER.patience_min)


onerror:
    # Also with `--quiet all`, which leaves nothing else to read.
    for job in sorted(workflow.scheduler.failed, key=str)[:10]:
        name = job.wildcards_dict.get("job") or job.wildcards_dict.get("name", "")
        where = f"; logs: logs/rule_{job.rule.name}/{name}" if on_cluster() and not job.is_local else ""
        print(f"robust3d: failed: {job.rule.name} {name}{where}", file=sys.stderr)
    if len(workflow.scheduler.failed) > 10:
        print(f"robust3d: and {len(workflow.scheduler.failed) - 10} more jobs failed", file=sys.stderr)
