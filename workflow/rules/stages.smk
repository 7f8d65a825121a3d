# One rule for each stage, as `robust3d.study.stages` declares it. A job's stage stands in its spec as well.
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
            RUN  # the same for all: names that the loop sets have their last value when a job runs
