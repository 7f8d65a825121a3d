# The names that users ask for. A table is made in a folder with its digest, like everything else; `results/table4.csv` is a
# copy of the one last asked for, which replaces the former copy when it is whole.
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
            message:
                "write {wildcards.job}"
            shell:
                ROBUST3D + " publish {input.record} {params.files}"


if workflow.modifier.is_main_snakefile():  # another workflow that takes this one as a module has files of its own

    # Whatever no other rule makes: a name that is no target.
    rule unknown:
        input:
            RULES.no_such_target,
        output:
            "{name}",
        wildcard_constraints:
            name=f"(?!({made_paths()})$).+",
