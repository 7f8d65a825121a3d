# Evaluation.


# AutoAttack over a grid of budgets; one outcome an image and budget.
rule attack_classifier:
    input:
        unpack(inputs("attack_classifier")),
        shards=ancient(bulk("attack_classifier")),
    output:
        **outputs("attack_classifier"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("attack_classifier")
    resources:
        **resources("attack_classifier", CLUSTER),
    params:
        spec=spec("attack_classifier"),
        files=files("attack_classifier"),
    message:
        "attack classifier: {wildcards.job}"
    shell:
        run("attack_classifier")


# Accuracy when the background no longer goes with the class.
rule test_shift:
    input:
        unpack(inputs("test_shift")),
        shards=ancient(bulk("test_shift")),
    output:
        **outputs("test_shift"),
    conda:
        "../../envs/robust3d.yaml"
    threads: cpus("test_shift")
    resources:
        **resources("test_shift", CLUSTER),
    params:
        spec=spec("test_shift"),
        files=files("test_shift"),
    message:
        "test shift: {wildcards.job}"
    shell:
        run("test_shift")
