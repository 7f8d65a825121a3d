import json

import pandas as pd
import pytest

from robust3d.papers.geon3d import figure6


def bar(kind, norm, column, ours, baseline, label="DVR+AT"):
    return {"kind": kind, "norm": norm, "column": column, "background": column, "label": label, "ours": ours,
            "baseline": baseline, "stand_ins": [], "data": {}}  # fmt: skip


@pytest.fixture
def job(attempts):
    baseline = attempts.attack([1, 1, 1, 1], {1.0: [1, 0, 0, 0], 9.0: [0, 0, 0, 0]})
    ours = attempts.attack([0, 0, 0, 1], {1.0: [0, 0, 0, 1], 9.0: [0, 0, 0, 1]})
    second = attempts.attack([1, 1, 1, 1], {1.0: [1, 1, 1, 1], 9.0: [1, 1, 1, 0]})
    lost, kept = attempts.shift([1, 0, 0, 0, 0]), attempts.shift([1, 1, 1, 0, 0])
    bars = [
        bar("attack", "Linf", "black", [ours, second], [baseline, baseline]),
        bar("attack", "L2", "black", [baseline], [ours]),
        bar("shift", "L2", "correlated shifted", [kept], [lost]),
    ]
    return attempts.job(target="figure6", bars=bars)


def test_the_mean_is_over_budgets_above_zero_and_over_seeds(job):
    figure6.write(job)
    table = pd.read_csv(job.outputs["table"], index_col=0, dtype=str, keep_default_na=False)
    # Linf: seed 0 gains 0 and 25 points, seed 1 75 and 75; the clean images, where it loses, do not count.
    assert table.to_dict() == {
        "black": {"Linf": "+43.8", "L2": "-12.5"},
        "correlated shifted": {"Linf": "", "L2": "+40.0"},
    }
    cells = {(cell["row"], cell["column"]): cell for cell in json.loads(job.outputs["cells"].read_text())["cells"]}
    cell = cells["Linf", "black"]
    assert cell["value"] == 43.75 and cell["by_budget"] == {"1.0": 37.5, "9.0": 50.0} and cell["unit"] == "points"
    # Images gain 0, 50, 50, 75 points: the interval of a bootstrap over them lies inside their range.
    assert 0 <= cell["interval"]["low"] < 0.4375 < cell["interval"]["high"] <= 0.75
    assert cell["difference_to_AT"]["value"] == 0.4375 and cell["difference_to_AT"]["to"] == "AT"
    assert {s["pointer"] for s in cell["sources"] if s["file"].endswith("json")} == {
        "/robust/1.0/accuracy",
        "/robust/9.0/accuracy",
    }
    shifted = cells["L2", "correlated shifted"]
    assert shifted["n"] == 5 and shifted["printed"] == {
        "row": "Table 3's difference",
        "value": 24.8,  # 35.6 - 10.8
        "comparable": False,
    }
    assert {s["pointer"] for s in shifted["sources"]} == {"/shifted/accuracy", "correct where images = shifted"}


def test_bars_stand_for_norms_and_say_so_without_colour(job):
    figure6.write(job)
    text = job.outputs["picture"].read_text()
    assert "<pattern" in text  # hatched, for grey
    for words in ("black", "spurious", "DVR+AT minus AT (points)", "n = 4", "n = 5"):
        assert words in text
    before = job.outputs["picture"].read_bytes()
    figure6.write(job)
    assert job.outputs["picture"].read_bytes() == before
