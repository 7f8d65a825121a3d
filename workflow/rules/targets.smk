# The targets of users. A table is made in a folder with its digest, like all outputs; `results/table4.csv` is a copy of the
# last requested one, and replaces the former copy when it is complete.
for stage, declared in STAGES.items():
    if declared.shown:

        rule:
            name:
                f"publish_{declared.shown.as_a}"
            input:
                unpack(RULES.finished()),
            output:
                **published(stage),
            wildcard_constraints:
                job="|".join(name for name, maker in every_target().items() if maker == stage),
            localrule: True
            conda:
                "../../envs/robust3d.yaml"
            params:
                files=copies,
            shell:
                ROBUST3D + " publish {input.record} {params.files}"


if workflow.modifier.is_main_snakefile():  # a workflow that uses this one as a module has its own files

    # Any other path: a name that is not a target.
    rule unknown:
        input:
            RULES.no_such_target,
        output:
            "{name}",
        wildcard_constraints:
            name=f"(?!({made_paths()})$).+",
