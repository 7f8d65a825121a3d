from pathlib import Path

import pytest
from configuration import at_test_scale

from robust3d.study.jobs import Job
from robust3d.study.plan import Plan
from robust3d.study.reading import load_study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def jobs(tmp_path, monkeypatch) -> tuple[Job, Job]:
    """The meshes of a class and a shard of it that takes some seconds."""
    values = at_test_scale()
    values["families"]["geons"] |= {"shard_instances": 27}
    values["families"]["geons"]["shapes"]["scalings"] = [0.5, 1.0, 1.5]
    values["families"]["geons"]["cameras"]["views"] = 24
    values["families"]["geons"]["render"] = {"resolution_px": 64, "samples": 8}
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    monkeypatch.chdir(tmp_path)
    plan = Plan(load_study(values))
    return plan.build_shapes("geons", "cone"), next(j for j in plan.shards("geons") if "cone" in j.label)
