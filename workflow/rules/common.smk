# What every rule needs: the plan of the study, and the three views of a job that a rule declares.

from snakemake.exceptions import WorkflowError

from robust3d.errors import UserError
from robust3d.study.config import load_study
from robust3d.study.plan import Plan
from robust3d.study.stages import STAGES

TABLES = ["table1", "table2", "table3", "table4"]
FIGURES = ["figure2", "figure3", "figure8", "figure10"]

try:
    PLAN = Plan(load_study(config))
    for target in TABLES + FIGURES:
        PLAN.target(target)
except UserError as error:
    raise WorkflowError(str(error)) from None


def find_job(stage, wildcards):
    """The planned job behind a path; a path of another study has none."""
    if stage in ("tabulate", "draw"):
        return PLAN.target(wildcards.job)
    try:
        return PLAN.jobs[stage, wildcards.job]
    except KeyError:
        raise WorkflowError(f"{stage}/{wildcards.job} is not part of this study") from None


def inputs(stage):
    """Named input files of a stage's jobs."""
    return lambda wildcards: find_job(stage, wildcards).input_paths()


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


def run(stage):
    """The shell line of a rule."""
    return (
        f"robust3d run {stage} --job {{wildcards.job}} --threads {{threads}} {{params.files}} --spec {{params.spec:q}}"
    )
