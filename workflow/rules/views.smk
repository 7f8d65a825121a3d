# Views: Blender renders and their manifest.


# Blender renders a block of instances of one class from all its views.
rule render_shard:
    input:
        unpack(inputs("render_shard")),
    output:
        **outputs("render_shard"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("render_shard")
    resources:
        **resources("render_shard", CLUSTER),
    params:
        spec=spec("render_shard"),
        files=files("render_shard"),
    message:
        "render shard: {wildcards.job}"
    shell:
        run("render_shard")


# A block of a class's published views from disk.
rule read_shard:
    input:
        unpack(inputs("read_shard")),
    output:
        **outputs("read_shard"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("read_shard")
    resources:
        **resources("read_shard", CLUSTER),
    params:
        spec=spec("read_shard"),
        files=files("read_shard"),
    message:
        "read shard: {wildcards.job}"
    shell:
        run("read_shard")


# The manifest of a family: shards, classes, splits.
rule index_views:
    input:
        unpack(inputs("index_views")),
    output:
        **outputs("index_views"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("index_views")
    resources:
        **resources("index_views", CLUSTER),
    params:
        spec=spec("index_views"),
        files=files("index_views"),
    message:
        "index views: {wildcards.job}"
    shell:
        run("index_views")
