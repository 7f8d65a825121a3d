"""One workflow from shapes to tables. `snakemake results/table4.csv` makes one table, `snakemake` makes tables 1-4."""

from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/common.smk"


container: RULES.cluster.container


include: "workflow/rules/stages.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/downloads.smk"


rule tables:
    default_target: True
    input:
        [target_path(name) for name, stage in targets(MAIN).items() if STAGES[stage].shown.as_a == "table"],


rule figures:
    input:
        [target_path(name) for name in of_paper(MAIN) if STAGES[targets(MAIN)[name]].shown.as_a != "table"],


rule views:
    input:
        lambda wildcards: [PLAN.index_views(family).output("manifest") for family in PLAN.study.families],


# `snakemake geon3d` makes all tables and figures of a paper, but those that its package says are made by their names only.
for paper in PLAN.study.papers:

    rule:
        name:
            paper
        input:
            [target_path(name) for name in of_paper(paper)],
