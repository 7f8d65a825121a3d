import json

import numpy as np
import pytest
from scipy import stats

from robust3d.papers.geon3d import table4
from robust3d.tables.statistics import difference

ROW = {"norm": "Linf", "budget": "1.0"}


@pytest.fixture
def cells(attempts):
    """Three columns and a control, three seeds each: images that a model withstands come in blocks, seeds vary."""
    rng = np.random.default_rng(3)
    difficulty = rng.random(200)

    def column(skill, **info):
        seeds = []
        for _ in range(3):
            robust = difficulty + rng.normal(0, 0.1, 200) < skill + rng.normal(0, 0.02)
            seeds.append(attempts.attack([1] * 200, {1.0: robust.astype(int).tolist()}, norm="Linf", **info))
        return seeds

    shared = {"encoder": {"seed": 0, "collapse": None} | dict.fromkeys(table4_encoder_facts())}
    told = [
        {**ROW, "column": "AT", "outcomes": column(0.4), "control": False, "learns": None},
        {**ROW, "column": "AE+AT", "outcomes": column(0.4, **shared), "control": False, "learns": "2D"},
        {**ROW, "column": "PxN+AT", "outcomes": column(0.6), "control": False, "learns": "3D"},
        {**ROW, "column": "standard", "outcomes": column(0.05), "control": True, "learns": None},
        {**ROW, "column": "VAE+AT", "outcomes": column(0.5), "control": False, "learns": "2D"},
    ]
    job = attempts.job(target="table4", cells=told, family_kind="categories", data={})
    table4.write(job)
    return {cell["column"]: cell for cell in json.loads(job.outputs["cells"].read_text())["cells"]}


def table4_encoder_facts():
    from robust3d.tables.cells import ENCODER_FACTS

    return [name for name in ENCODER_FACTS if name not in ("seed", "collapse")]


def test_differences_are_judged_over_seeds_and_images(cells):
    assert cells["AT"]["difference_to_AT"]["value"] == 0
    assert cells["AE+AT"]["difference_to_AT"]["verdict"] == "does not differ"
    better = cells["PxN+AT"]["difference_to_AT"]
    assert better["verdict"] == "differs" and better["low"] > 0 and better["seeds"] == 3 and better["note"] is None
    assert better["value"] == pytest.approx((cells["PxN+AT"]["value"] - cells["AT"]["value"]) / 100)
    assert "noise of seeds" in better["kind"] and "4" in better["kind"]
    assert better["to"] == "AT"


def test_3d_is_compared_with_the_mean_of_2d(cells):
    """The question of section 7: pixelNeRF minus the mean of AE and VAE, which vary less than one of them."""
    apart = cells["PxN+AT"]["difference_to_2D"]
    mean = (cells["AE+AT"]["value"] + cells["VAE+AT"]["value"]) / 2
    assert apart["value"] == pytest.approx((cells["PxN+AT"]["value"] - mean) / 100)
    assert apart["to"] == "the mean of AE+AT and VAE+AT" and apart["verdict"] == "differs"
    assert all("difference_to_2D" not in cells[name] for name in ("AT", "AE+AT", "VAE+AT", "standard"))


def test_a_mean_of_columns_has_less_noise(attempts):
    """Seeds alone vary, by 2 images of 40 either way: of a column's variance 1 + 1/2 is in the difference, not 2."""
    withstood = {"AT": (20, 22, 18), "AE+AT": (18, 20, 22), "VAE+AT": (22, 18, 20), "PxN+AT": (31, 33, 29)}
    learns = {"AE+AT": "2D", "VAE+AT": "2D", "PxN+AT": "3D"}
    told = []
    for column, counts in withstood.items():
        outcomes = [attempts.attack([1] * 40, {1.0: [1] * n + [0] * (40 - n)}, norm="Linf") for n in counts]
        told.append({**ROW, "column": column, "outcomes": outcomes, "control": False, "learns": learns.get(column)})
    job = attempts.job(target="table4", cells=told, family_kind="categories", data={})
    table4.write(job)
    cells = {cell["column"]: cell for cell in json.loads(job.outputs["cells"].read_text())["cells"]}
    ours = np.array([np.arange(40) < n for n in withstood["PxN+AT"]], float)
    flat = [np.array([np.arange(40) < n for n in withstood[name]], float) for name in ("AE+AT", "VAE+AT")]
    columns = [np.array([np.arange(40) < n for n in counts], float) for counts in withstood.values()]
    expected = difference(ours, sum(flat) / 2, columns, 0, parts=1.5)
    assert cells["PxN+AT"]["difference_to_2D"]["standard_error"] == pytest.approx(expected["standard_error"])
    assert expected["standard_error"] < difference(ours, sum(flat) / 2, columns, 0)["standard_error"]


def test_a_control_is_compared_with_at_alone(cells):
    """Standard training has a noise of its own, which says nothing of the others'."""
    told = cells["standard"]["difference_to_AT"]
    assert told["verdict"] == "differs" and told["high"] < 0 and "pooled" not in told["kind"]


def test_a_shared_pre_training_is_flagged(cells):
    assert any("share one pre-training" in flag for flag in cells["AE+AT"]["flags"])
    assert not any("share one pre-training" in flag for flag in cells["AT"]["flags"] + cells["PxN+AT"]["flags"])


def test_the_interval_holds_seeds_and_images(cells):
    """At least as wide as one over images of a single model would be by chance alone."""
    cell = cells["AT"]
    assert "t over 3 seeds and 200 images" in cell["interval"]["kind"]
    share = cell["value"] / 100
    images_alone = stats.norm.ppf(0.975) * (share * (1 - share) / 200) ** 0.5
    assert cell["interval"]["high"] - share > 0.9 * images_alone
