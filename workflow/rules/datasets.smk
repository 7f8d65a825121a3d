# Data sets: textures, backgrounds, classification sets.


# Background textures, procedural or read from DTD.
rule make_textures:
    input:
        unpack(inputs("make_textures")),
    output:
        **outputs("make_textures"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("make_textures")
    resources:
        **resources("make_textures", CLUSTER),
    params:
        spec=spec("make_textures"),
        files=files("make_textures"),
    message:
        "make textures: {wildcards.job}"
    shell:
        run("make_textures")


# Which views, on which backgrounds, form a classification set.
rule draw_set:
    input:
        unpack(inputs("draw_set")),
    output:
        **outputs("draw_set"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("draw_set")
    resources:
        **resources("draw_set", CLUSTER),
    params:
        spec=spec("draw_set"),
        files=files("draw_set"),
    message:
        "draw set: {wildcards.job}"
    shell:
        run("draw_set")
