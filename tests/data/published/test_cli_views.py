"""The commands export-views and check-views, as a user types them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


def robust3d(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "robust3d.cli", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def test_check_views_ends_with_1_when_something_is_wrong(exported, tmp_path):
    good = robust3d("check-views", exported["srn"])
    assert good.returncode == 0 and "6 objects in SRN's layout, 6 looked into" in good.stdout, good.stderr
    bad = shutil.copytree(exported["srn"], tmp_path / "bad")
    for path in bad.rglob("pose/*.txt"):
        np.savetxt(path, np.linalg.inv(np.loadtxt(path).reshape(4, 4)))
    told = robust3d("check-views", bad)
    assert told.returncode == 1 and "store their inverses, camera-to-world" in told.stdout
    none = robust3d("check-views", tmp_path / "none")
    assert none.returncode == 2 and "no such folder" in none.stderr and "Traceback" not in none.stderr


@pytest.fixture
def project(tmp_path):
    """A folder with the default configuration only."""
    shutil.copy(ROOT / "config.yaml", tmp_path / "config.yaml")
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    return tmp_path


def test_export_views_finds_the_familys_manifest(family, project):
    from robust3d.study.reading import read_study

    name = sorted(read_study([ROOT / "config.yaml"]).families)[0]
    unknown = robust3d("export-views", "nothing", "--format", "dvr", "--out", "out", cwd=project)
    assert unknown.returncode == 2 and "nothing: no such family; there are" in unknown.stderr
    early = robust3d("export-views", name, "--format", "srn", "--out", "out", cwd=project)
    assert early.returncode == 2 and "is not rendered yet; first run: snakemake results/" in early.stderr
    manifest = project / early.stderr.split("snakemake ")[1].split()[0]
    manifest.parent.mkdir(parents=True)
    family[0].write(manifest)
    assert json.loads(manifest.read_text())["family"] == "small"
    done = robust3d("export-views", name, "--format", "srn", "--out", "out", cwd=project)
    assert done.returncode == 0 and "out: 6 objects" in done.stdout, done.stderr
    assert (project / "out" / "chair_test" / "0002" / "rgb" / "000007.png").is_file()
    again = robust3d("export-views", name, "--format", "srn", "--out", "out", cwd=project)
    assert again.returncode == 2 and "not an empty folder" in again.stderr


def test_the_printed_line_says_what_has_no_depth(family, project, monkeypatch, capsys):
    from robust3d import cli
    from robust3d.study.plan import Plan
    from robust3d.study.reading import read_study

    def export(views, folder, layout, note):
        note("2 of 6 objects have no depth/")
        return 6

    monkeypatch.chdir(project)
    study = read_study([project / "config.yaml"])
    name = sorted(study.families)[0]
    manifest = Path(Plan(study).index_views(name).output("manifest"))
    manifest.parent.mkdir(parents=True)
    family[0].write(manifest)
    monkeypatch.setattr("robust3d.data.published.export.export_views", export)
    monkeypatch.setattr("sys.argv", ["robust3d", "export-views", name, "--format", "dvr", "--out", "out"])
    cli.main()
    assert (
        f"out: 6 objects of {name}; 2 of 6 objects have no depth/; `robust3d check-views out`"
        in capsys.readouterr().out
    )


def test_export_images_says_what_to_run_first(project):
    unknown = robust3d("export-images", "nothing", "--out", "out", cwd=project)
    assert unknown.returncode == 2 and "nothing: no such set; there are" in unknown.stderr
    early = robust3d("export-images", "black", "--out", "out", "--config", "seed=3", cwd=project)
    assert early.returncode == 2 and "is not made yet; first run: snakemake results/draw_set/black-" in early.stderr
    assert "results/index_views/geons-" in early.stderr and early.stderr.endswith("--config seed=3\n")
    assert not (project / "out").exists()
