# Pre-training and encoder extraction.


# A reconstruction pre-training: DVR, pixelNeRF, AE, VAE or any module in robust3d.pretraining.
rule pretrain:
    input:
        unpack(inputs("pretrain")),
        shards=ancient(bulk("pretrain")),
    output:
        **outputs("pretrain"),
    priority: 10
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("pretrain")
    resources:
        **resources("pretrain", CLUSTER, devices("pretrain")),
    params:
        spec=spec("pretrain"),
        files=files("pretrain"),
    message:
        "pretrain: {wildcards.job}"
    shell:
        run("pretrain")


# The ResNet-18 encoder of a pre-training, with what was trained in it.
rule extract_encoder:
    input:
        unpack(inputs("extract_encoder")),
    output:
        **outputs("extract_encoder"),
    priority: 10
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("extract_encoder")
    resources:
        **resources("extract_encoder", CLUSTER),
    params:
        spec=spec("extract_encoder"),
        files=files("extract_encoder"),
    message:
        "extract encoder: {wildcards.job}"
    shell:
        run("extract_encoder")
