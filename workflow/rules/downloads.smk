from robust3d import registry


# Freely available data, checked against the publisher's checksum; downloaded only when requested by name.
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


for name in ("dtd", *registry.names("architecture")):

    rule:
        name:
            f"download_{name}"
        input:
            f"resources/.downloaded/{name}.json",
