# Shared by all rules; the code is in `robust3d.workflow.rules`.
from snakemake.logging import logger

from robust3d.registry import MAIN
from robust3d.study.stages import STAGES
from robust3d.study.targets import every_target, of_paper, published_paths, target_path, targets
from robust3d.workflow.rules import Rules, made_paths

RULES = Rules(workflow, config, logger, ancient)
PLAN = RULES.plan
ROBUST3D, RUN = RULES.command, RULES.run


def published(stage):
    """The stable paths of a stage's tables or figures; one of them is shown by `snakemake --report`.

    They are marked `update`, so that Snakemake does not delete the old files before a job replaces them.
    """
    declared = STAGES[stage]
    files = {output: pattern.format(results="results", label="{job}") for output, pattern in declared.published.items()}
    caption, category = f"../report/{declared.shown.caption}", declared.shown.category
    name = declared.shown.output
    shown = report(files[name], caption=caption, category=category, labels={"target": "{job}"})
    return {output: update(file) for output, file in (files | {name: shown}).items()}


def copies(wildcards):
    """The stable paths as command line options."""
    return " ".join(f"--output {name} {path}" for name, path in published_paths(wildcards.job).items())


onstart:
    RULES.begin()


onerror:
    RULES.tell_failures()
