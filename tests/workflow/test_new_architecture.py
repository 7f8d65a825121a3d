"""One module and one configuration entry add an architecture that is trained, attacked and tested on shifted images."""

import json

import pandas as pd
import pytest
import yaml
from examples import example
from project import ROOT, Project


@pytest.mark.slow
def test_a_toy_is_trained_attacked_and_probed(tmp_path):
    project = Project(tmp_path / "project", {"ae"})
    files = example("An architecture")
    overlay = yaml.safe_load(files.pop("config.yaml"))
    source = project.take_source()
    for name, text in files.items():
        (project.folder / name).write_text(text)
    for folder in ("workflow/rules", "src/robust3d/study"):  # the project's own, but for the entry and the module
        for path in (project.folder / folder).iterdir():
            assert not path.is_file() or path.read_bytes() == (ROOT / folder / path.name).read_bytes()
    assert (source / "architectures/tiny.py").is_file()
    project.change(overlay)
    project.change({"pretraining": {"ae": {"experiments": ["categories", "correlated"]}}})
    project.make("results/table3.csv", "results/table4.csv")
    table = pd.read_csv(project.folder / "results/table4.csv", index_col=0)
    assert list(table.columns) == ["AT", "AE+AT", "standard"]
    wanted = {"name": "tiny", "params": {"width": 8}}
    for name in ("table3", "table4"):
        cells = json.loads((project.folder / f"results/{name}.cells.json").read_text())["cells"]
        conditions = [condition for cell in cells for condition in cell["conditions"]]
        assert conditions and all(condition["architecture"] == wanted for condition in conditions)
        assert all(condition["attacked"] == "folded copy" for condition in conditions)
        encoders = [condition["encoder"] for condition in conditions if condition["encoder"]]
        assert encoders and all((it["architecture"], it["start"]) == (wanted, "random") for it in encoders)
    records = project.records("probe").values()
    assert records and not any("resnet18" in json.dumps(record["spec"]) for record in records)
    told = project.robust3d("verify")
    assert told.returncode == 0, told.stdout + told.stderr
