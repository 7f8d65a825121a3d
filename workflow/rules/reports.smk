# Tables and figures: the only results with stable names. They hold the study last asked for; Snakemake makes them anew
# when their spec, a parameter of the rule, is another one.


def reported(stage, name, caption, category):
    """The outputs of a stage, one of them shown by `snakemake --report`."""
    files = outputs(stage)
    labels = {"target": "{job}"}
    return files | {name: report(files[name], caption=caption, category=category, labels=labels)}


# A table with the lineage of its cells.
rule tabulate:
    input:
        unpack(inputs("tabulate")),
    output:
        **reported("tabulate", "table", "../report/table.rst", "Tables"),
    wildcard_constraints:
        job="table[0-9A-Z]+",
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        spec=spec("tabulate"),
        files=files("tabulate"),
    message:
        "write {wildcards.job}"
    shell:
        run("tabulate")


# A figure of numbers: the picture, and the numbers with their lineage as in a table.
rule plot:
    input:
        unpack(inputs("plot")),
    output:
        **reported("plot", "picture", "../report/figure.rst", "Figures"),
    wildcard_constraints:
        job="|".join(PLOTS),
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        spec=spec("plot"),
        files=files("plot"),
    message:
        "plot {wildcards.job}"
    shell:
        run("plot")


# A picture: gallery, examples, reconstructions.
rule draw:
    input:
        unpack(inputs("draw")),
        shards=ancient(bulk("draw")),
    output:
        **reported("draw", "picture", "../report/figure.rst", "Figures"),
    wildcard_constraints:
        job="|".join(name for name in FIGURES if name not in PLOTS),
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        spec=spec("draw"),
        files=files("draw"),
    message:
        "draw {wildcards.job}"
    shell:
        run("draw")
