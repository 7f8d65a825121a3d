# One rule per stage that `robust3d.study.stages` declares. The spec of a job also names its stage.
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
        message:
            stage.replace("_", " ") + ": {wildcards.job}"
        shell:
            RUN  # the same for all: variables of the loop have their last value when a job runs
