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


# What may be fetched without asking anybody, checked against its publisher's checksum; only when asked for by name.
rule download:
    output:
        "resources/.downloaded/{name}.json",
    localrule: True
    conda:
        "../../envs/robust3d.yaml"
    message:
        "download {wildcards.name} into resources/"
    shell:
        ROBUST3D + " download {wildcards.name} --to resources --marker {output}"


rule download_dtd:
    input:
        "resources/.downloaded/dtd.json",


rule download_resnet18:
    input:
        "resources/.downloaded/resnet18.json",


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
