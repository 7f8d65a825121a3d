import itertools
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest

from robust3d.errors import UserError
from robust3d.figures import curves
from robust3d.figures.drawing import STYLES
from robust3d.files import sha256

SVG = "{http://www.w3.org/2000/svg}"


def panel(norm, series, experiment="black", hidden=()):
    return {
        "experiment": experiment, "title": f"Geons, {experiment} background", "norm": norm, "stand_ins": ["painted"],
        "data": {}, "series": [
            {"label": la, "style": st, "outcomes": so, "drawn": la not in hidden} for la, st, so in series
        ],
    }  # fmt: skip


@pytest.fixture
def job(attempts):
    """Two panels of two curves over uneven budgets; four images."""
    scratch = attempts.attack([1, 1, 1, 0], {1.0: [1, 1, 0, 0], 3.0: [1, 0, 0, 0]})
    encoder = attempts.attack([1, 1, 1, 1], {1.0: [1, 1, 1, 0], 3.0: [1, 1, 0, 0]}, collapse="it gave up")
    other = attempts.attack([1, 0, 0, 0], {1.0: [1, 0, 0, 0], 2.0: [0, 0, 0, 0]})
    panels = [
        panel("L2", [("AT", 0, [scratch]), ("DVR+AT", 3, [encoder])]),
        panel("L2", [("AT", 0, [other])], "textured"),
    ]
    return attempts.job(target="figure5", panels=panels)


def test_every_point_is_a_cell_with_its_lineage(job):
    curves.write(job, "Words.")
    told = json.loads(job.outputs["cells"].read_text())
    assert told["table"] == "figure5" and told["caption"] == "Words. Painted."
    table = pd.read_csv(job.outputs["table"], index_col=0, dtype=str, keep_default_na=False)
    assert list(table.index) == ["L2 0.0", "L2 1.0", "L2 2.0", "L2 3.0"] and table.index.name == "threat"
    assert table.to_dict("list") == {
        "black AT": ["75.0", "50.0", "", "25.0"],
        "black DVR+AT": ["100.0", "75.0", "", "50.0"],
        "textured AT": ["25.0", "25.0", "0.0", ""],
    }
    cells = {(cell["row"], cell["column"]): cell for cell in told["cells"]}
    assert len(cells) == 9
    for (row, column), cell in cells.items():
        assert table.loc[row, column] == cell["text"] and cell["n"] == 4 and cell["chance"] == 0.25
        metrics, outcomes = cell["sources"]
        found = json.loads(Path(metrics["file"]).read_text())
        for key in metrics["pointer"].strip("/").split("/"):
            found = found[key]
        assert 100 * found == cell["value"]
        what, key, value = re.fullmatch(r"(\w+) where (\w+) = (.+)", outcomes["pointer"]).groups()
        frame = pd.read_parquet(outcomes["file"])
        assert 100 * frame[frame[key] == value][what].mean() == cell["value"]
        assert metrics["sha256"] == sha256(Path(metrics["file"]))
        assert cell["interval"]["low"] <= cell["value"] / 100 <= cell["interval"]["high"]
    ours = cells["L2 3.0", "black DVR+AT"]
    assert ours["difference_to_AT"]["value"] == 0.25 and ours["flags"] == [
        "painted",
        "classifier collapsed: it gave up",
    ]
    assert ours["area_under_curve"]["value"] == pytest.approx((0.875 * 1 + 0.625 * 2) / 3)
    assert ours["area_under_curve"]["grid"] == [0, 1, 3]


def test_a_model_that_has_not_learned_is_flagged(attempts):
    """Four classes: 10 of 40 right is chance; 20 of 40 has Wilson's interval 0.352 to 0.648."""
    for right, flagged in ((10, True), (15, True), (20, False)):  # 15 of 40: 0.242 to 0.530
        model = attempts.attack([1] * right + [0] * (40 - right), {1.0: [0] * 40})
        job = attempts.job(target="figure4", panels=[panel("L2", [("AT", 0, [model])])])
        assert all(any("not beyond chance" in flag for flag in cell["flags"]) == flagged for cell in curves.cells(job))


def test_several_seeds_are_averaged(attempts):
    seeds = [attempts.attack(clean, {1.0: robust}, norm="Linf")
             for clean, robust in (([1, 1], [1, 1]), ([1, 1], [1, 0]), ([1, 0], [0, 0]))]  # fmt: skip
    job = attempts.job(target="figure7", panels=[panel("Linf", [("AT", 0, seeds)])])
    clean, robust = curves.cells(job)
    assert (clean["row"], robust["row"]) == ("Linf 0/255", "Linf 1.0")
    assert robust["value"] == 50 and clean["value"] == pytest.approx(100 * 5 / 6)
    # The means 1, 0.5 and 0 have standard deviation 0.5, and t(0.975, 2) is 4.3: wider than all there can be.
    assert (robust["interval"]["low"], robust["interval"]["high"]) == (0, 1)
    assert len(robust["sources"]) == 6 and "3 seeds" in robust["interval"]["kind"]


def test_a_column_without_a_curve_still_counts_for_the_noise_of_seeds(attempts):
    """Otherwise one comparison would have two intervals: of Figure 7, and of Table 4 and Figure 9."""
    seeds = {
        "AT": ([1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]),
        "AE+AT": ([1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]),
        "PxN+AT": ([1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]),
    }
    columns = [
        (name, style, [attempts.attack([1] * 6, {1.0: list(right)}) for right in models])
        for style, (name, models) in enumerate(seeds.items())
    ]

    def differences(chosen, hidden=()):
        cells = curves.cells(attempts.job(target="figure7", panels=[panel("L2", chosen, hidden=hidden)]))
        return {cell["column"]: cell["difference_to_AT"] for cell in cells if cell["row"] == "L2 1.0"}

    every, some = differences(columns), differences(columns, hidden=("AE+AT",))
    assert list(some) == ["AT", "PxN+AT"] and some["PxN+AT"] == every["PxN+AT"]
    assert differences([columns[0], columns[2]])["PxN+AT"]["high"] != every["PxN+AT"]["high"]


def drawn(job):
    root = ElementTree.parse(job.outputs["picture"]).getroot()
    return {group.get("id"): group for group in root.iter(f"{SVG}g")}, job.outputs["picture"].read_text()


def points(group):
    """Where a curve goes, in the picture's units."""
    path = group.find(f"{SVG}path").get("d")
    return np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", path), float)


def test_the_picture_is_drawn_to_scale(job):
    curves.write(job, "")
    groups, text = drawn(job)
    at = points(groups["Geons, black background, L2, AT"])
    dvr = points(groups["Geons, black background, L2, DVR+AT"])
    x, y = at.T
    assert (x[2] - x[1]) / (x[1] - x[0]) == pytest.approx(2)  # budgets 0, 1, 3
    assert y[1] - y[0] == pytest.approx(y[2] - y[1]) and y[0] < y[1]  # 75, 50, 25, and up is better
    assert dvr[:, 1] - y == pytest.approx(np.full(3, y[0] - y[1]), abs=1e-3)  # 25 points above everywhere
    assert set(np.unique((dvr - at)[:, 0].round(3)).tolist()) != {0.0}  # beside each other, not on each other
    for words in ("DVR+AT", "chance", "Geons, black background, n = 4", "accuracy (%)", "study “test”"):
        assert f"<!-- {words}" in text or words in text, words


def test_the_bytes_depend_on_the_numbers_only(job, tmp_path):
    curves.write(job, "")
    before = job.outputs["picture"].read_bytes()
    with matplotlib.rc_context({"svg.hashsalt": None, "lines.linewidth": 9, "font.size": 30, "svg.fonttype": "none"}):
        curves.write(job, "")
    assert job.outputs["picture"].read_bytes() == before
    assert b"<dc:date>" not in before


def test_curves_differ_without_colour():
    looks = [(marker, str(dashes)) for _, marker, dashes in STYLES]
    assert len({marker for marker, _ in looks}) == len({colour for colour, _, _ in STYLES}) == len(STYLES)
    # Luminance on a grey printer: neighbours in a legend are told apart by dashes at least.
    assert all(one != two for one, two in itertools.pairwise(dashes for _, dashes in looks))


def test_a_figure_of_nothing_says_what_to_change(attempts):
    with pytest.raises(UserError, match="figure4: none of its experiments"):
        curves.write(attempts.job(target="figure4", panels=[]), "")
