# Classifiers.


# Standard or adversarial training, from scratch or from an encoder.
rule train_classifier:
    input:
        unpack(inputs("train_classifier")),
        shards=ancient(bulk("train_classifier")),
    output:
        **outputs("train_classifier"),
    threads: 1
    resources:
        mem_mb=8000,
        runtime=1440,
        gpu=1,
    params:
        spec=spec("train_classifier"),
        files=files("train_classifier"),
    message:
        "train classifier: {wildcards.job}"
    shell:
        run("train_classifier")
