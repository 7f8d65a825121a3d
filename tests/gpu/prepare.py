"""Packs what a machine with a GPU needs to check the project: `python tests/gpu/prepare.py FOLDER`.

The folder then holds the code, the wheels of the packages that such a machine may lack, and the jobs and data of the
tests' scale, which are made here first (minutes; Blender renders). It is far below 40 MB and stands alone: copy it, and
run what this command prints.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.resolve()
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "workflow")]

PYTHON = "3.12"
PACKAGES = (
    "annotated-types",
    "fsspec",
    "lightning-fabric",
    "lightning-utilities",
    "packaging",
    "pydantic",
    "pydantic-core",
    "safetensors",
    "typing-extensions",
    "typing-inspection",
)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
CODE = ("src/robust3d", "tests/gpu", "tests/benchmarks")
TARGETS = ("results/table3.csv", "results/table4.csv")
METHODS = {"ae", "vae", "supervised", "dvr", "pixelnerf"}
MOST_MB = 40.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new or empty")
    parser.add_argument("--project", type=Path, help="a finished one at the tests' scale; without it one is made")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        parser.error(f"{folder} is not empty; name another folder, or remove it")
    prepare(folder, arguments.project)
    size_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    if size_mb > MOST_MB:
        sys.exit(f"{folder} has {size_mb:.0f} MB, more than the {MOST_MB:.0f} MB that it may have")
    print(f"{folder}: {size_mb:.1f} MB. On the machine with the GPU, Python {PYTHON}, under nine minutes:")
    print(f"    python3 {folder.name}/tests/gpu/check.py --output gpu-results")


def prepare(folder: Path, project: Path | None) -> None:
    """Fill `folder`; what is half done does not stay."""
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(name) / "bundle"
        download(bundle / "wheels")
        for part in CODE:
            shutil.copytree(ROOT / part, bundle / part, ignore=shutil.ignore_patterns("__pycache__"))
        pack_jobs(project or make_project(Path(name) / "project"), bundle / "data")
        shutil.copytree(bundle, folder, dirs_exist_ok=True)


def pack_jobs(project: Path, place: Path) -> None:
    """Records and data of the learning jobs of a finished project."""
    import stages

    stages.pack(project, place)


def make_project(folder: Path) -> Path:
    """Run Tables 3 and 4 at the tests' scale, with every pre-training, for the records of their jobs."""
    from project import Project

    project = Project(folder, METHODS)
    project.make("--cores", str(len(os.sched_getaffinity(0))), *TARGETS)
    return folder


def download(folder: Path) -> None:
    """The wheels of `PACKAGES`, in the versions of the lock."""
    wanted = [f"{name}=={version(name)}" for name in PACKAGES]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(folder),
    ]
    command += ["--python-version", PYTHON, "--implementation", "cp"]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    told = subprocess.run([*command, *wanted], capture_output=True, text=True)
    if told.returncode != 0:
        sys.exit(f"pip could not download {', '.join(wanted)}:\n{told.stderr.strip()[-1500:]}")


def version(name: str) -> str:
    """The locked version of a package."""
    lock = (ROOT / "envs/requirements.lock").read_text()
    if found := re.search(rf"^{re.escape(name)}==(\S+)", lock, re.MULTILINE):
        return found[1]
    sys.exit(
        f"envs/requirements.lock has no {name}; name it in envs/requirements.in or drop it from {Path(__file__).name}"
    )


if __name__ == "__main__":
    main()
