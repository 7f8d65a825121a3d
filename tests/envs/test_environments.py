"""The conda environment and the container say what the lock and Blender's list of libraries say."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from robust3d.rendering.system import LIBRARIES

ENVS = Path(__file__).parents[2] / "envs"
LOCK = (ENVS / "requirements.lock").read_text()
RECIPE = (ENVS / "robust3d.def").read_text()


def mirror():
    spec = importlib.util.spec_from_file_location("mirror", ENVS / "mirror.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def conda():
    return yaml.safe_load((ENVS / "robust3d.yaml").read_text())


def sections(recipe):
    return dict(re.findall(r"^%(\w+)\n(.*?)(?=^%|\Z)", recipe, flags=re.MULTILINE | re.DOTALL))


def test_the_conda_environment_has_exactly_the_locked_packages():
    # Another way to read the lock: a package stands at the start of a line, its hashes are indented.
    locked = [line.split()[0] for line in LOCK.splitlines() if line[:1].isalnum()]
    (packages,) = [entry["pip"] for entry in conda()["dependencies"] if isinstance(entry, dict)]
    assert len(locked) > 150 and packages == locked


def test_the_written_file_is_what_the_script_writes():
    assert (ENVS / "robust3d.yaml").read_text() == mirror().environment(LOCK), "run `make lock`"


def test_every_system_library_has_a_conda_package():
    table = mirror().CONDA
    assert set(table) == set(LIBRARIES.values())
    plain = [entry for entry in conda()["dependencies"] if isinstance(entry, str)]
    assert set(plain) == {"python=3.11", "pip", *table.values()}
    assert conda()["channels"] == ["conda-forge", "nodefaults"]


def test_the_container_installs_blenders_libraries_and_the_hashed_lock():
    post = sections(RECIPE)["post"].replace("\\\n", " ")
    (installed,) = re.findall(r"apt-get install ([^\n]*)", post)
    assert {word for word in installed.split() if not word.startswith("-")} == set(LIBRARIES.values())
    assert "--require-hashes" in post and "--no-deps" in post
    source, target = sections(RECIPE)["files"].split()
    assert (ENVS.parent / source).is_file() and f"-r {target}" in post


@pytest.mark.parametrize("name", ["post", "environment", "test"])
def test_the_containers_scripts_are_shell(name):
    assert subprocess.run(["sh", "-n"], input=sections(RECIPE)[name], text=True).returncode == 0


def test_the_container_starts_from_the_python_that_blender_needs():
    assert re.search(r"^From: python:3\.11-slim$", RECIPE, flags=re.MULTILINE)
    assert "import bpy, torch" in sections(RECIPE)["test"]
    assert "OMP_NUM_THREADS=1" in sections(RECIPE)["environment"]


def test_the_containers_header_calls_snakemake_as_it_wants_to_be_called():
    (line,) = re.findall(r"^#   snakemake (.*--sdm apptainer.*)$", RECIPE, flags=re.MULTILINE)
    call = [sys.executable, "-m", "snakemake", *line.split(), "--version"]
    told = subprocess.run(call, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
