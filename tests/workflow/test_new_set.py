"""An image set is one configuration entry, or an entry and a module; it is trained on, attacked and reaches a table."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from examples import example
from image_files import colours, save
from project import Project

TABLE, CELLS = "results/table4.csv", "results/table4.cells.json"
pytestmark = pytest.mark.slow


def cells(project: Project) -> list[dict]:
    return json.loads((project.folder / CELLS).read_text())["cells"]


def test_a_plug_in_reaches_table_4(tmp_path):
    files = example("An image set")
    project = Project(tmp_path / "project", pretrainings=set())
    source = project.take_source()
    (source / "imagesets/stripes.py").write_text(files["src/robust3d/imagesets/stripes.py"])
    project.change(yaml.safe_load(files["config.yaml"]))
    project.make(TABLE)
    table = pd.read_csv(project.folder / TABLE, index_col=0)
    assert list(table.columns) == ["AT", "standard"] and table.notna().all(axis=None)
    for cell in cells(project):
        assert cell["n"] == 8 and cell["conditions"][0]["classes"] == ["across", "down"]
        assert cell["data"]["pictures"]["kind"] == "stripes" and "not those of the paper" in " ".join(cell["flags"])
    verified = project.robust3d("verify", TABLE)
    assert verified.returncode == 0, verified.stdout
    assert not (project.folder / "results/render_shard").exists()


def test_a_folder_reaches_table_4_and_is_watched(tmp_path):
    overlay = yaml.safe_load(example("Pictures instead of views", "docs/data.md")["config.yaml"])
    project = Project(tmp_path / "project", pretrainings=set())
    project.change(overlay | {"experiments": overlay["experiments"]})
    pictures = project.folder / overlay["sets"]["flowers"]["path"]
    missing = project.snakemake(TABLE)
    assert missing.returncode == 1 and "sets.flowers.path: no folder resources/flowers" in missing.stderr
    assert "Traceback" not in missing.stderr and not (project.folder / "results/draw_set").exists()
    for label, name in enumerate(("anemone", "bluebell")):
        for split, count in (("train", 24), ("val", 4), ("test", 4)):
            for number in range(count):
                save(pictures / split / name / f"{number}.png", colours(100 * label + number, 40) // (1 + label))
    (pictures / "train/anemone/3.png").write_bytes(b"no picture")
    broken = project.snakemake(TABLE)
    assert broken.returncode == 1 and "train/anemone/3.png" in broken.stderr and "broken: skip" in broken.stderr
    project.change({"sets": {"flowers": {"broken": "skip", "shards": 2}}})
    project.make(TABLE)
    first = (project.folder / TABLE).read_bytes()
    for cell in cells(project):
        assert cell["n"] == 8 and cell["conditions"][0]["training_images"] == 47
        assert "1 of 64 pictures cannot be read and were left out (train/anemone/3.png)" in cell["flags"]
    why = project.robust3d("why", TABLE, "--row", "Linf 8/255", "--column", "AT")
    assert why.returncode == 0 and "pack_images" in why.stdout, why.stdout + why.stderr
    assert project.robust3d("verify", TABLE).returncode == 0

    # A touched picture is read again; nothing is trained on the same bytes again.
    shutil.copy(pictures / "train/bluebell/0.png", tmp_path / "copy.png")
    shutil.copy(tmp_path / "copy.png", pictures / "train/bluebell/0.png")
    assert "STALE" in project.robust3d("verify", TABLE).stdout
    again = project.make(TABLE)
    assert "rule pack_images:" in again and (project.folder / TABLE).read_bytes() == first
    assert all(record["reused"] for record in newest(project, "train_classifier"))

    # A changed one makes the set another.
    save(pictures / "train/bluebell/0.png", colours(7, 40))
    verified = project.robust3d("verify", TABLE)
    assert verified.returncode == 1 and f"CHANGED    {pictures.relative_to(project.folder)}" in verified.stdout
    project.make(TABLE)
    assert not any(record["reused"] for record in newest(project, "train_classifier"))


def newest(project: Project, stage: str) -> list[dict]:
    """The records of a stage that the table rests on now."""
    jobs = project.path(
        f"' '.join(job.id for job in __import__('robust3d.study.needs').study.needs.made_from([plan.target('table4')]) "
        f"if job.stage == '{stage}')"
    )
    return [project.records(stage)[job] for job in jobs.split()]
