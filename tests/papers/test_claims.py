"""Claims of the papers: verdicts from differences written by hand, their p-values and Holm's correction."""

import json
from pathlib import Path

import pandas as pd
import pytest

from robust3d.papers.comparison import claims
from robust3d.papers.comparison.stated import CLAIMS, Claim
from robust3d.provenance.runner import Context
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.targets import every_target, of_paper

ROOT = Path(__file__).parents[2]
COLUMN = {"column": "x"}


def apart(value, p, seeds=3):
    """A difference; `p` None: of too few seeds."""
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "kind": "by hand", "seeds": seeds, "p": p,
            "verdict": None, "note": None}  # fmt: skip


def cell(row, found, flags=(), **more):
    return {"row": row, "column": "x", "unit": "%", "difference": found, "flags": list(flags), "printed": None} | more


def judged(tmp_path, monkeypatch, stated, tables, missing=()):
    """The table of claims on tables of cells."""
    monkeypatch.setattr(claims, "CLAIMS", tuple(stated))
    inputs = {}
    for name, cells in tables.items():
        path = tmp_path / f"{name}.cells.json"
        path.write_text(json.dumps({"cells": cells}))
        inputs[f"cells:{name}"] = [path]
    params = {"target": "claims", "study": "t", "tables": {name: name for name in tables}, "missing": dict(missing)}
    outputs = {"table": tmp_path / "c.csv", "cells": tmp_path / "c.json"}
    claims.write(Context(params, inputs, outputs, tmp_path, 1))
    cells = {(one["row"], one["column"]): one for one in json.loads(outputs["cells"].read_text())["cells"]}
    return pd.read_csv(outputs["table"], index_col=0, dtype=str), cells


def claim(where=COLUMN, sign=1, target="t", paper="geon3d"):
    return Claim(paper, "1", "Words", target, where, sign)


def test_all_must_hold_and_any_may_contradict(tmp_path, monkeypatch):
    """p by hand: support has the largest of 0.001 and 0.004; contradiction twice the smaller one, 0.003."""
    both = [cell("a", apart(0.2, 0.001)), cell("b", apart(0.3, 0.004))]
    mixed = [cell("a", apart(0.2, 0.001)), cell("b", apart(-0.3, 0.003))]
    table, cells = judged(
        tmp_path, monkeypatch, [claim(target="both"), claim(target="mixed"), claim(sign=-1, target="both")],
        {"both": both, "mixed": mixed},
    )  # fmt: skip
    assert [cells[row, "p"]["p"] for row in table.index] == pytest.approx([0.004, 0.006, 0.002])
    # Holm by hand: 3 x 0.002, then the larger of that and 2 x 0.004, then of that and 1 x 0.006.
    assert [cells[row, "p"]["p_holm"] for row in table.index] == pytest.approx([0.008, 0.008, 0.006])
    assert list(table["Verdict"]) == ["supported", "contradicted", "contradicted"]
    assert table.loc["geon3d 1", "Estimate"] == "a, x: +20.0 points [+10.0, +30.0]; b, x: +30.0 points [+20.0, +40.0]"
    assert cells["geon3d 1", "Verdict"]["sources"][1]["pointer"] == "/cells/1/difference"


def test_what_is_significant_alone_may_not_be_among_many(tmp_path, monkeypatch):
    table, cells = judged(
        tmp_path, monkeypatch, [claim({"row": name}) for name in "ab"],
        {"t": [cell("a", apart(0.2, 0.04)), cell("b", apart(0.2, 0.9))]},
    )  # fmt: skip
    assert cells["geon3d 1", "p"]["p"] == 0.04 and cells["geon3d 1", "p"]["p_holm"] == 0.08
    assert table.loc["geon3d 1", "Verdict"] == "cannot be told: 0 is not excluded among all claims"


def test_what_cannot_be_told_says_why(tmp_path, monkeypatch):
    flat = "responses are synthetic: they say whether the measure works, and nothing of brains"
    tables = {
        "few": [cell("a", apart(0.2, None, seeds=1))],
        "void": [cell("a", apart(0.2, 0.0001), [flat])],
        "part": [cell("a", apart(-0.2, 0.0001), [flat]), cell("b", apart(0.2, 0.0001))],
        "other": [cell("a", apart(0.2, 0.0001), column="y")],
        "none": [cell("a", None)],
    }
    stated = [claim(target=name) for name in (*tables, "absent")]
    table, cells = judged(tmp_path, monkeypatch, stated, tables, {"absent": "papers.x: missing"})
    assert list(table["Verdict"]) == [
        "cannot be told: fewer than three training seeds, so that their noise is not known",
        f"cannot be told: {flat}",
        "supported",
        "cannot be told: other has no such row and column at this scale",
        "cannot be told: none has no such row and column at this scale",
        "cannot be told: papers.x: missing",
    ]
    assert "a, x: -20.0 points [-30.0, -10.0] (void)" in table.loc["geon3d 3", "Estimate"]
    assert cells["geon3d 3", "Verdict"]["flags"] == [flat]


def test_an_estimate_has_the_decimals_of_its_interval(tmp_path, monkeypatch):
    small = {"value": -0.00031, "low": -0.00059, "high": -0.00003}
    tables = {
        "small": [cell("a", apart(0, 0.03) | small, unit="m")],
        "usual": [cell("a", apart(0.25, 0.03), unit="")],
    }
    table, _ = judged(tmp_path, monkeypatch, [claim(target="small"), claim(target="usual")], tables)
    assert list(table["Estimate"]) == ["-0.00031 m [-0.00059, -0.00003]", "+0.250 [+0.150, +0.350]"]


def test_a_claim_finds_its_cells():
    printed = {"row": "ViT-B/14 + 3D-Prior", "column": "NYU DPT", "value": 0.3, "comparable": False}
    one = cell("SimSiam + 3D-Prior", apart(1, 1), printed=printed, epsilon=0.5)
    assert claim({"row": "*+ 3D-Prior", "printed column": "NYU *"}).speaks_of(one)
    assert claim({"row": ("x", "SimSiam*"), "epsilon": lambda epsilon: epsilon > 0}).speaks_of(one)
    assert not claim({"printed column": "ImageNet*"}).speaks_of(one)
    assert not claim({"epsilon": lambda epsilon: epsilon > 1}).speaks_of(one)
    assert not claim({"budget": lambda budget: True}).speaks_of(one)
    assert not claim({}).speaks_of(one | {"difference": None})


def test_the_papers_claims():
    """Three to six of each paper, whose tables exist; `snakemake comparison` does not make them all."""
    counts = {}
    for one in CLAIMS:
        counts[one.paper] = counts.get(one.paper, 0) + 1
        assert one.target in every_target() and one.target.rpartition("/")[0] in ("", one.paper)
        assert one.sign in (1, -1) and len(one.words) > 20 and one.where
    assert len(counts) == 5 and all(3 <= count <= 6 for count in counts.values())
    assert len({one.words for one in CLAIMS}) == len(CLAIMS)
    assert "claims" in every_target() and "claims" not in of_paper("comparison")


def test_a_paper_that_is_left_out_is_said():
    plan = Plan(read_study([ROOT / "config.yaml"], {"scale": "test", "papers": {"winn3d": None}}))
    job = plan.target("claims")
    assert set(job.params["missing"]) == {one.target for one in CLAIMS if one.paper == "winn3d"}
    assert all("papers.winn3d: missing" in why for why in job.params["missing"].values())
    made_from = {file.stage for files in job.inputs.values() for file, _ in files}
    assert made_from == {"tabulate", "plot"} and len(job.inputs) == len(job.params["tables"])
