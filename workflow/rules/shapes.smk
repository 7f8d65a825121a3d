# Shapes: parametric geons and procedural object categories.


# The meshes of one class of a family.
rule build_shapes:
    input:
        unpack(inputs("build_shapes")),
    output:
        **outputs("build_shapes"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("build_shapes")
    resources:
        **resources("build_shapes", CLUSTER),
    params:
        spec=spec("build_shapes"),
        files=files("build_shapes"),
    message:
        "build shapes: {wildcards.job}"
    shell:
        run("build_shapes")
