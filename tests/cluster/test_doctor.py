"""The doctor on a real one-node SLURM (fixture `cluster`)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def states(tmp_path: Path, keys: str) -> dict[str, tuple[str, str]]:
    file = tmp_path / "cluster.yaml"
    file.write_text(keys)
    call = [sys.executable, "-m", "robust3d.cli", "doctor", "--json", "--configfile", "workflow/scales/test.yaml"]
    environment = os.environ | {"ROBUST3D_CLUSTER": str(file)}
    told = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env=environment)
    return {finding["check"]: (finding["state"], finding["text"]) for finding in json.loads(told.stdout)}


@pytest.mark.slow
def test_a_node_renders_and_shares_our_files(cluster, tmp_path):
    found = states(tmp_path, "max_runtime_min: 30\nrender_cpus: 2\ngpu_partition: gpu\ngpu_model: toy\n")
    assert found["SLURM"][0] == "OK"
    assert found["a node for renders: files"][0] == "OK", found
    assert found["a node for renders: Blender"][0] == "OK", found
    assert found["submit a render job"][0] == found["submit a training job"][0] == "OK", found
    assert found["a node with a GPU: files"][0] == "OK", found
    state, text = found["a node with a GPU: torch"]  # the node's GPUs are made up
    assert state == "PROBLEM" and "sees no GPU" in text


@pytest.mark.slow
def test_a_partition_that_is_not_there(cluster, tmp_path):
    found = states(tmp_path, "partition: nowhere\n")
    assert found["partition nowhere for jobs without a GPU"][0] == "PROBLEM"
