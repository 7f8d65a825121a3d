# One rule per stage that `robust3d.study.stages` declares. The spec of a job also names its stage. There is no `message`:
# Snakemake would format it for each job of a dry run, a sixth of the time, and our logger says what ran.
for stage, declared in STAGES.items():

    rule:
        name:
            stage
        input:
            unpack(RULES.inputs(stage)),
        output:
            **RULES.outputs(stage),
        priority: declared.priority
        localrule: declared.request is None
        conda:
            "../../envs/robust3d.yaml"
        threads: RULES.threads(stage)
        resources:
            **RULES.resources(stage),
        params:
            arguments=RULES.arguments(stage),
        shell:
            RUN  # the same for all: variables of the loop have their last value when a job runs
