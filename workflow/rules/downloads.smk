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
