# Tables and figures. Each is made in a folder with its digest, like everything else; `results/table4.csv` is a copy of the
# one last asked for, which replaces the former copy when it is whole.


# A table with the lineage of its cells.
rule tabulate:
    input:
        unpack(inputs("tabulate")),
    output:
        **outputs("tabulate"),
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        spec=spec("tabulate"),
        files=files("tabulate"),
    message:
        "tabulate: {wildcards.job}"
    shell:
        run("tabulate")


# A figure of numbers: the picture, and the numbers with their lineage as in a table.
rule plot:
    input:
        unpack(inputs("plot")),
    output:
        **outputs("plot"),
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        spec=spec("plot"),
        files=files("plot"),
    message:
        "plot: {wildcards.job}"
    shell:
        run("plot")


# A picture: gallery, examples, reconstructions.
rule draw:
    input:
        unpack(inputs("draw")),
        shards=ancient(bulk("draw")),
    output:
        **outputs("draw"),
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        spec=spec("draw"),
        files=files("draw"),
    message:
        "draw: {wildcards.job}"
    shell:
        run("draw")


# The stable names: `results/table4.csv` and what belongs to it.
rule publish_table:
    input:
        unpack(finished),
    output:
        **published("tabulate", "table", "../report/table.rst", "Tables"),
    wildcard_constraints:
        job="|".join(TABLES),
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        files=copies,
    message:
        "write {wildcards.job}"
    shell:
        ROBUST3D + " publish {input.record} {params.files}"


rule publish_plot:
    input:
        unpack(finished),
    output:
        **published("plot", "picture", "../report/figure.rst", "Figures"),
    wildcard_constraints:
        job="|".join(PLOTS),
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        files=copies,
    message:
        "write {wildcards.job}"
    shell:
        ROBUST3D + " publish {input.record} {params.files}"


rule publish_picture:
    input:
        unpack(finished),
    output:
        **published("draw", "picture", "../report/figure.rst", "Figures"),
    wildcard_constraints:
        job="|".join(name for name in FIGURES if name not in PLOTS),
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
            no_such_target,
        output:
            "{name}",
        wildcard_constraints:
            name=f"(?!({MADE})$).+",
