"""Mirrors envs/requirements.lock in envs/robust3d.yaml, a conda environment; `make lock` runs it.

Snakemake's `--sdm conda` cannot read a requirements file, so every package stands there by name and version.
"""

import re
from pathlib import Path

ENVS = Path(__file__).parent

# Debian's package (robust3d.rendering.system) -> conda-forge's
CONDA = {
    "libx11-6": "xorg-libx11",
    "libxrender1": "xorg-libxrender",
    "libxfixes3": "xorg-libxfixes",
    "libxi6": "xorg-libxi",
    "libxkbcommon0": "libxkbcommon",
    "libsm6": "xorg-libsm",
    "libice6": "xorg-libice",
    "libgl1": "libgl",
}

HEAD = """\
# Written by envs/mirror.py from requirements.lock (`make lock`); do not edit.
# For machines without root: Blender's system libraries come from conda-forge, everything else from the lock.
# For the jobs: `snakemake --sdm conda …`. To work in it:
#   conda env create -f envs/robust3d.yaml && conda activate robust3d && pip install --no-deps --no-build-isolation -e .
# conda checks no hashes of what pip installs; `make environment` and envs/robust3d.def do.
"""


def locked(lock: str) -> list[str]:
    """`name==version` of every package of a lock, in its order."""
    return re.findall(r"^([A-Za-z0-9_.-]+==[^\s\\;]+)", lock, flags=re.MULTILINE)


def environment(lock: str) -> str:
    """The conda environment that installs what a lock names."""
    conda = ["python=3.11", "pip", *CONDA.values()]
    lines = ["name: robust3d", "channels: [conda-forge, nodefaults]", "dependencies:"]
    lines += [f"  - {name}" for name in conda]
    lines += ["  - pip:", *(f"      - {package}" for package in locked(lock))]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = environment((ENVS / "requirements.lock").read_text(encoding="utf-8"))
    (ENVS / "robust3d.yaml").write_text(text, encoding="utf-8")
