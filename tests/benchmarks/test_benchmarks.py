"""The benchmarks still run: each at toy size, where its figures mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "run.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    "section",
    [
        "rendering",
        "reconstruction",
        "training",
        "attacks",
        "corruptions",
        "ablation",
        "voxels",
        "introspection",
        "workflow",
    ],
)
def test_benchmark_runs(section, tmp_path):
    if section == "attacks":
        pytest.importorskip("pyautoattack")
    command = [sys.executable, str(RUN), section, "--toy", "--output", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-3000:]
    (found,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    rows = found["sections"][section]["rows"]
    assert rows and all(row["ours"]["median"] is not None for row in rows)
    assert said.stdout.count("\n| ") == len(rows) + 0 and found["machine"]["versions"]["torch"]
