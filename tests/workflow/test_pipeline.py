"""The whole road at the tests' scale: real renders, training and attacks, tiny."""

import json
import shutil

import pandas as pd
import pytest
from project import Project

pytestmark = pytest.mark.slow

TABLES = ("results/table3.csv", "results/table4.csv")
FILES = ("table3.csv", "table4.csv", "table3.cells.json", "table4.cells.json")
STAGES = {
    "build_shapes", "render_shard", "index_views", "make_textures", "draw_set", "pretrain", "extract_encoder",
    "train_classifier", "probe", "publish_table",
}  # fmt: skip
SHORT = {"index_views", "make_textures", "draw_set", "publish_table"}  # may be over before they can be killed


def test_asking_again_does_nothing(finished):
    assert "Nothing to be done" in finished.make(*TABLES)
    shutil.rmtree(finished.folder / ".snakemake")
    assert "Nothing to be done" in finished.make(*TABLES)


def test_cells_name_their_sources(finished):
    cells = json.loads((finished.folder / "results/table4.cells.json").read_text())
    table = pd.read_csv(finished.folder / "results/table4.csv", index_col=0, dtype=str)
    assert list(table.index) == ["Linf 8/255", "L2 1.0"] and table.index.name == "threat"
    assert list(table.columns) == ["AT", "AE+AT", "DVR+AT", "standard"]
    assert len(cells["cells"]) == table.size
    for cell in cells["cells"]:
        assert table.loc[cell["row"], cell["column"]] == cell["text"]
        metrics = next(source for source in cell["sources"] if source["file"].endswith("metrics.json"))
        found = json.loads((finished.folder / metrics["file"]).read_text())
        for key in metrics["pointer"].strip("/").split("/"):
            found = found[key.replace("~1", "/").replace("~0", "~")]
        assert f"{100 * found:.1f}" == cell["text"]
        assert cell["interval"]["low"] <= found <= cell["interval"]["high"]


def test_one_core_and_kills_in_every_stage_give_the_same_bytes(finished, tmp_path):
    project = Project(tmp_path / "killed")
    killed = project.run_with_kills(STAGES, "--cores", "1", *TABLES, after_s=2.0)
    assert killed >= STAGES - SHORT
    assert project.bytes_of(*FILES) == finished.bytes_of(*FILES)
    assert not list((project.folder / "results").rglob(".partial*"))


def test_a_table_is_made_anew_when_the_study_changes_and_comes_back(finished):
    before = finished.bytes_of("table4.csv")
    original = finished.values
    shutil.rmtree(finished.folder / ".snakemake", ignore_errors=True)  # what Snakemake remembers must not matter
    finished.change({"pretraining": {"ae": {"label": "Auto"}}})
    finished.make("-n", "results/table4.csv")
    assert finished.bytes_of("table4.csv") == before  # a dry run takes nothing away
    told = finished.make("results/table4.csv")
    assert "rule publish_table:" in told and "rule train_classifier:" not in told and "rule probe:" not in told
    assert "Auto+AT" in (finished.folder / "results/table4.csv").read_text()
    finished.configure(original)
    shutil.rmtree(finished.folder / ".snakemake")
    assert "rule publish_table:" in finished.make("results/table4.csv")
    assert finished.bytes_of("table4.csv") == before
