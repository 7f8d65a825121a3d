"""How often Snakemake looks for jobs to start."""

import subprocess
import sys
from pathlib import Path

import pytest

SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
JOBS = 10
SNAKEFILE = f"""
from robust3d.workflow.rules import without_rate_limit


rule all:
    input:
        expand("{{number}}.txt", number=range({JOBS})),


rule one:
    output:
        "{{number}}.txt",
    shell:
        "sleep 0.4; touch {{output}}"


onstart:
    if config["free"]:
        without_rate_limit(workflow)
"""


def looks(folder, *more, free):
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE)
    command = [SNAKEMAKE, "--cores", "1", "--verbose", "--config", f"free={free}", *more]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr[-2000:]
    return told.stderr.count("Ready jobs")


@pytest.mark.slow
def test_once_for_each_job_and_not_each_second_for_all_that_ended(tmp_path):
    assert looks(tmp_path / "ours", free=True) <= JOBS + 2
    # Where Snakemake's own are as few, `without_rate_limit` can go.
    assert looks(tmp_path / "theirs", free=False) > 2 * JOBS
    assert looks(tmp_path / "asked", "--max-jobs-per-timespan", "50/1s", free=True) > 2 * JOBS
