from robust3d import registry


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


for name in ("dtd", *registry.names("architecture")):

    rule:
        name:
            f"download_{name}"
        input:
            f"resources/.downloaded/{name}.json",
