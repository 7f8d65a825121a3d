"""One module and one configuration entry add a probe that a table shows, and a training that it is asked of."""

import json

import pandas as pd
import pytest
import yaml
from examples import example
from project import Project

TARGET = "results/toy/table1.csv"
pytestmark = pytest.mark.slow


def add(project: Project, title: str) -> None:
    """What one section of the page adds."""
    files = example(title)
    project.change(yaml.safe_load(files.pop("config.yaml", "{}")))
    for name, text in files.items():
        (project.folder / name).parent.mkdir(exist_ok=True)
        (project.folder / name).write_text(text)


def test_a_probe_and_a_training_reach_a_table(tmp_path):
    project = Project(tmp_path / "project", set())
    project.take_source()
    for title in ("A paper", "A training", "A probe"):
        add(project, title)
    project.change({"papers": {"toy": {"classifier": "noisy"}}})
    project.make(TARGET)
    table = pd.read_csv(project.folder / TARGET, index_col=0)
    assert list(table.index) == ["mirror"] and list(table.columns) == ["AT"]
    (record,) = project.records("probe").values()
    assert record["spec"]["params"]["probe"] == "mirror"
    outcomes = pd.read_parquet(project.folder / record["outputs"]["outcomes"]["path"])
    assert {"class_name", "instance", "view", "answer"} <= set(outcomes.columns)
    assert table.loc["mirror", "AT"] == round(100 * outcomes["correct"].mean(), 1)
    (trained,) = project.records("train_classifier").values()
    info = json.loads((project.folder / trained["outputs"]["info"]["path"]).read_text())
    assert info["objective"] == "noisy" and info["attack"] is None
    told = project.robust3d("why", TARGET, "--row", "mirror", "--column", "AT")
    assert told.returncode == 0 and "probe mirror" in told.stdout, told.stdout + told.stderr
    told = project.robust3d("verify", TARGET)
    assert told.returncode == 0 and " OK" in told.stdout, told.stdout + told.stderr
    # An edit of the probe asks it again, of the same classifier.
    module = project.folder / "src/robust3d/probes/mirror.py"
    module.write_text(module.read_text().replace("batch.flip(3)", "batch.flip(2)"))
    told = project.make(TARGET)
    assert "rule probe:" in told and "rule train_classifier:" not in told
