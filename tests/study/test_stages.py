import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from examples import example

from robust3d.study.stages import STAGES

ROOT = Path(__file__).parents[2]
WORDS = {"inventory", "draw", "plot", "pretrain", "probe", "transfer"}  # which stand in code for other things as well


@pytest.mark.parametrize("stage", sorted(set(STAGES) - WORDS))
def test_a_stage_is_named_where_it_is_declared_and_planned(stage):
    """As text: its module and the functions named like it are not counted."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("workflow/**/*.smk"), ROOT / "Snakefile"]
    naming = {str(file.relative_to(ROOT)) for file in files if f'"{stage}"' in file.read_text()}
    allowed = {"src/robust3d/study/stages.py", "src/robust3d/study/plan.py", "src/robust3d/study/needs.py"}
    parts = ("object_jobs", "learning_jobs", "voxel_jobs")  # of the plan
    allowed |= {f"src/robust3d/study/{part}.py" for part in parts}
    assert "src/robust3d/study/stages.py" in naming and naming <= allowed


def test_a_stage_is_one_entry_and_one_module(tmp_path):
    """Snakemake has a rule for it, and the function that plans it is all that is needed besides."""
    for name in ("src", "workflow", "envs", "profiles", "config.yaml", "Snakefile"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    files = example("A stage")
    module = "src/robust3d/stages/count_views.py"
    (tmp_path / module).write_text(files[module])
    for name, before in (("stages", "@functools.cache\ndef lock"), ("plan", "    # --- data sets ---")):
        path = f"src/robust3d/study/{name}.py"
        text = (tmp_path / path).read_text()
        assert text.count(before) == 1
        (tmp_path / path).write_text(text.replace(before, f"{files[path]}\n\n{before}"))
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
    assert "results/count_views/gallery-" in told.stdout + told.stderr
