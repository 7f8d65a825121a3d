# Classifiers.


# Standard or adversarial training, from scratch or from an encoder.
rule train_classifier:
    input:
        unpack(inputs("train_classifier")),
        shards=ancient(bulk("train_classifier")),
    output:
        **outputs("train_classifier"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("train_classifier")
    resources:
        **resources("train_classifier", CLUSTER, devices("train_classifier")),
    params:
        spec=spec("train_classifier"),
        files=files("train_classifier"),
    message:
        "train classifier: {wildcards.job}"
    shell:
        run("train_classifier")
