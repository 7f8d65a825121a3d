# Shapes: parametric geons and procedural object categories.


# What lies on disk of a published data set; ends the run at once if something is missing.
rule inventory:
    input:
        unpack(inputs("inventory")),
    output:
        **outputs("inventory"),
    priority: 100
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    params:
        spec=spec("inventory"),
        files=files("inventory"),
    message:
        "inventory: {wildcards.job}"
    shell:
        run("inventory")


# A block of a class's meshes from disk.
rule read_shapes:
    input:
        unpack(inputs("read_shapes")),
    output:
        **outputs("read_shapes"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("read_shapes")
    resources:
        **resources("read_shapes", CLUSTER),
    params:
        spec=spec("read_shapes"),
        files=files("read_shapes"),
    message:
        "read shapes: {wildcards.job}"
    shell:
        run("read_shapes")


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
