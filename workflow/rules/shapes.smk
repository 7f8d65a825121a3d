# Shapes: parametric geons and procedural object categories.


# The meshes of one class of a family.
rule build_shapes:
    input:
        unpack(inputs("build_shapes")),
    output:
        **outputs("build_shapes"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        spec=spec("build_shapes"),
        files=files("build_shapes"),
    message:
        "build shapes: {wildcards.job}"
    shell:
        run("build_shapes")
