"""Table 3: differences to adversarial training from scratch, and of training against L2 to that against Linf."""

import json

import numpy as np
import pytest

from robust3d.papers.geon3d import table3


def test_each_difference_is_to_its_own_column(attempts):
    rng = np.random.default_rng(0)
    skill = {"AT-L2": 0.1, "DVR+AT-L2": 0.35, "AT-Linf": 0.8, "DVR+AT-Linf": 0.85}
    told = []
    for column, share in skill.items():
        start, _, norm = column.rpartition("-")
        outcomes = [attempts.shift((rng.random(100) < share).astype(int).tolist()) for _ in range(3)]
        told.append({"column": column, "start": start, "group": norm, "outcomes": outcomes})
    job = attempts.job(target="table3", cells=told, family_kind=None, textures="dtd", data={})
    table3.write(job)
    cells = {cell["column"]: cell for cell in json.loads(job.outputs["cells"].read_text())["cells"]}
    for name, key, to in (
        ("DVR+AT-L2", "difference_to_AT", "AT-L2"),
        ("DVR+AT-Linf", "difference_to_AT", "AT-Linf"),
        ("AT-L2", "difference_to_Linf", "AT-Linf"),
        ("DVR+AT-L2", "difference_to_Linf", "DVR+AT-Linf"),
    ):
        found = cells[name][key]
        assert found["to"] == to
        assert found["value"] == pytest.approx((cells[name]["value"] - cells[to]["value"]) / 100)
    assert cells["AT-L2"]["difference_to_Linf"]["verdict"] == "differs"
    assert "difference_to_Linf" not in cells["AT-Linf"]
