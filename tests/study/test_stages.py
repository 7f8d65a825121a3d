import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from robust3d.study.stages import STAGES

ROOT = Path(__file__).parents[2]
WORDS = {"inventory", "draw", "plot", "pretrain"}  # which stand in code for other things as well


@pytest.mark.parametrize("stage", sorted(set(STAGES) - WORDS))
def test_a_stage_is_named_where_it_is_declared_and_planned(stage):
    """As text: its module and the functions named like it are not counted."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("workflow/**/*.smk"), ROOT / "Snakefile"]
    naming = {str(file.relative_to(ROOT)) for file in files if f'"{stage}"' in file.read_text()}
    allowed = {"src/robust3d/study/stages.py", "src/robust3d/study/plan.py", "src/robust3d/study/needs.py"}
    assert "src/robust3d/study/stages.py" in naming and naming <= allowed


def test_a_stage_is_one_entry_and_one_module(tmp_path):
    """Snakemake has a rule for it, and the function that plans it is all that is needed besides."""
    for name in ("src", "workflow", "envs", "profiles", "config.yaml", "Snakefile"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    stages = tmp_path / "src/robust3d/study/stages.py"
    entry = (
        'STAGES["count_views"] = Stage(_outputs(counted="count.json"), _ARRAYS, title="Count", layer=3, '
        "request=Request(cpus=3, mem_mb=500, runtime_min=7))\n"
    )
    text, where = stages.read_text(), "@functools.cache\ndef _lock"
    stages.write_text(text.replace(where, f"{entry}\n\n{where}"))
    (tmp_path / "src/robust3d/stages/count_views.py").write_text(
        '"""Counts."""\n\n\ndef run(job):\n    """Write what was `counted`."""\n'
        '    job.write_json("counted", len(job.inputs["shards"]))\n'
    )
    plan = tmp_path / "src/robust3d/study/plan.py"
    text, where = plan.read_text(), "    # --- data sets ---"
    plan.write_text(
        text.replace(
            where,
            "    def count_views(self, family):\n"
            '        inputs = {"shards": tuple((job, "manifest") for job in self.shards(family))}\n'
            '        return self._add(Job("count_views", family, {}, inputs))\n\n' + where,
        )
    )
    with (tmp_path / "Snakefile").open("a") as file:
        file.write(
            "\n\nrule counts:\n    input:\n"
            '        [PLAN.count_views(family).output("counted") for family in ("gallery",)],\n'
        )
    snakemake = ["snakemake", "counts", "--config", "scale=test"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    told = subprocess.run(
        [*snakemake, "-n", "--forcerun", "count_views"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert re.search(r"^count_views +1$", told.stdout + told.stderr, re.MULTILINE)
    assert "count views: gallery-" in told.stdout + told.stderr
