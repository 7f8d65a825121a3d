# Tables and figures: the only results with stable names. They hold the study last asked for.


def stamp(wildcards):
    """Names the digest that is wanted under a stable name."""
    return f"results/.current/{wildcards.job}-{PLAN.target(wildcards.job).digest}"


# Makes way for a target of another study or of other code. A missing stamp means that what lies under the stable
# name, if anything, is not current; it goes, and so it is made anew whatever Snakemake remembers.
rule retire:
    output:
        "results/.current/{target}-{digest}",
    wildcard_constraints:
        target="[a-z]+[0-9A-Z]+",
        digest="[0-9a-f]{12}",
    localrule: True
    message:
        "make way for a new {wildcards.target}"
    shell:
        "rm -f results/{wildcards.target}.* results/.current/{wildcards.target}-* && touch {output}"


# A table with the lineage of its cells.
rule tabulate:
    input:
        unpack(inputs("tabulate")),
        stamp=stamp,
    output:
        **outputs("tabulate"),
    wildcard_constraints:
        job="table[0-9A-Z]+",
    localrule: True
    params:
        spec=spec("tabulate"),
        files=files("tabulate"),
    message:
        "write {wildcards.job}"
    shell:
        run("tabulate")


# A picture: gallery, examples, reconstructions.
rule draw:
    input:
        unpack(inputs("draw")),
        shards=ancient(bulk("draw")),
        stamp=stamp,
    output:
        **outputs("draw"),
    wildcard_constraints:
        job="figure[0-9]+",
    localrule: True
    params:
        spec=spec("draw"),
        files=files("draw"),
    message:
        "draw {wildcards.job}"
    shell:
        run("draw")
