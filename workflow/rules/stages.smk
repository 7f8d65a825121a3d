# One rule for each stage, as `robust3d.study.stages` declares it. A job's stage stands in its spec as well.
for stage, told in STAGES.items():

    rule:
        name:
            stage
        input:
            unpack(inputs(stage)),
        output:
            **outputs(stage),
        priority: told.priority
        localrule: told.request is None
        conda:
            "../../envs/robust3d.yaml"
        threads: cpus(stage)
        resources:
            **(resources(told.request, CLUSTER, request(stage)) if told.request else {}),
        params:
            spec=spec(stage),
            files=files(stage),
        message:
            stage.replace("_", " ") + ": {wildcards.job}"
        shell:
            RUN  # the same for all: names that the loop sets have their last value when a job runs
