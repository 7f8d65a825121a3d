"""A job of thousands of files runs: their names go in by file, and need not fit into a command line."""

import json
from pathlib import Path

import pytest
from project import Project

from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

pytestmark = pytest.mark.slow
SCALINGS = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]  # 216 instances of each of the gallery's forty classes


def test_views_of_five_thousand_shards_are_indexed(tmp_path):
    project = Project(tmp_path / "project")
    project.change({"families": {"gallery": {"shapes": {"scalings": SCALINGS}, "shard_instances": 1}}})
    plan = Plan(load_study(project.values))
    index, shards = plan.index_views("gallery"), plan.shards("gallery")
    for shard in shards:  # as if each had been rendered
        told = json.loads(shard.spec)["params"]
        names = told["instances"]
        folder = project.folder / Path(shard.output("record")).parent
        folder.mkdir(parents=True)
        entry = {"class": told["class_name"], "instances": names, "frames": len(names), "sha256": "0" * 64, "bytes": 1}
        (folder / "manifest.json").write_text(json.dumps(entry))
        (folder / "views.h5").touch()
        (folder / "record.json").write_text("{}")
    assert len(shards) > 5_000 and len("".join(index.input_paths()["shards"])) > 2 * 128 * 1024
    project.make("--cores", "1", "--", index.output("manifest"))
    (record,) = project.records("index_views").values()
    assert [file["path"] for file in record["inputs"]["shards"]] == index.input_paths()["shards"]
    written = json.loads((project.folder / index.output("manifest")).read_text())
    assert len(written["shards"]) == len(shards)
    # The recorded command holds every word, so it can be given again.
    assert record["command"].count(index.input_paths()["shards"][-1]) == 1
    assert "Nothing to be done" in project.make("--cores", "1", "--", index.output("manifest"))
