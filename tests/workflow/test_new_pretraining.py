"""One module and one configuration entry add a pre-training to Table 4, with no edit in the rules."""

import os
import shutil

import pandas as pd
import pytest
import yaml
from examples import example
from project import ROOT, Project


@pytest.mark.slow
def test_a_toy_finds_its_column(tmp_path):
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    files = example("A pre-training")
    (tmp_path / "src/robust3d/pretraining/toy.py").write_text(files["src/robust3d/pretraining/toy.py"])
    project = Project(tmp_path / "project", pretrainings=set())
    project.environment |= {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    project.environment = {**os.environ, **project.environment}
    project.change(yaml.safe_load(files["config.yaml"]))
    # The rules are the project's own; only the entry and the module are new.
    assert (project.folder / "workflow").resolve() == ROOT / "workflow"
    project.make("results/table4.csv")
    table = pd.read_csv(project.folder / "results/table4.csv", index_col=0)
    assert list(table.columns) == ["AT", "Toy+AT", "standard"]
