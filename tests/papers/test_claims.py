"""Claims of the papers: verdicts from differences written by hand, their p-values and Holm's correction."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from robust3d.papers.comparison import claims
from robust3d.papers.comparison.stated import CLAIMS, Claim
from robust3d.papers.geon3d import reported as geon3d
from robust3d.papers.prior3d import reported as prior3d
from robust3d.papers.shapebias import reported as shapebias
from robust3d.papers.winn3d import reported as winn3d
from robust3d.provenance.runner import Context
from robust3d.study.plan import Plan
from robust3d.study.reading import read_study
from robust3d.study.targets import every_target, of_paper

ROOT = Path(__file__).parents[2]
COLUMN = {"column": "x"}


def apart(value, p, seeds=3):
    """A difference whose standard error, with ten degrees of freedom, gives p; `p` None: of too few seeds."""
    if p is None:
        note = "2 training runs, too few for a verdict: training noise is not in this interval"
        return {"value": value, **dict.fromkeys(("low", "high", "standard_error", "degrees", "p", "verdict"))} | {
            "kind": "by hand", "seeds": seeds, "note": note,
        }  # fmt: skip
    error = abs(value) / stats.t.isf(p / 2, 10)
    half = stats.t.ppf(0.975, 10) * error
    return {"value": value, "low": value - half, "high": value + half, "standard_error": error, "degrees": 10,
            "kind": "by hand", "seeds": seeds, "p": p, "verdict": None, "note": None}  # fmt: skip


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


def test_a_claim_is_judged_by_the_mean_of_its_differences(tmp_path, monkeypatch):
    """By hand: 0.2 and 0.3 have standard errors of 0.2 / t(0.001) and 0.3 / t(0.004), the mean at most their mean."""
    both = [cell("a", apart(0.2, 0.001)), cell("b", apart(0.3, 0.004))]
    one_against = [cell("a", apart(0.5, 0.001)), cell("b", apart(-0.1, 0.003))]
    table, cells = judged(
        tmp_path, monkeypatch,
        [claim(target="both"), claim(target="one_against"), claim(sign=-1, target="both")],
        {"both": both, "one_against": one_against},
    )  # fmt: skip
    t = {p: stats.t.isf(p / 2, 10) for p in (0.001, 0.003, 0.004)}
    first = 2 * stats.t.sf(0.25 / ((0.2 / t[0.001] + 0.3 / t[0.004]) / 2), 10)
    second = 2 * stats.t.sf(0.2 / ((0.5 / t[0.001] + 0.1 / t[0.003]) / 2), 10)
    assert [cells[row, "p"]["p"] for row in table.index] == pytest.approx([first, second, first])
    # Holm by hand: three times the smallest, which two have; the third is larger.
    assert [cells[row, "p"]["p_holm"] for row in table.index] == pytest.approx([3 * first, second, 3 * first])
    assert list(table["Verdict"]) == ["supported", "supported", "contradicted"]
    estimate = table.loc["geon3d 2", "Estimate"]
    assert estimate.startswith("mean +20.0 points [") and ", 1 of 2 with the claim's sign: a, x: +50.0" in estimate
    assert cells["geon3d 1", "Verdict"]["sources"][1]["pointer"] == "/cells/1/difference"


def test_what_is_significant_alone_may_not_be_among_many(tmp_path, monkeypatch):
    table, cells = judged(
        tmp_path, monkeypatch, [claim({"row": name}) for name in "ab"],
        {"t": [cell("a", apart(0.2, 0.04)), cell("b", apart(0.2, 0.9))]},
    )  # fmt: skip
    assert [cells["geon3d 1", "p"][key] for key in ("p", "p_holm")] == pytest.approx([0.04, 0.08])
    assert table.loc["geon3d 1", "Verdict"] == "cannot be told: 0 is not excluded among all claims"


def test_what_cannot_be_told_says_why(tmp_path, monkeypatch):
    flat = "responses are synthetic: they say whether the measure works, and nothing of brains"
    failed = "clean accuracy is not beyond chance: the training did not work"
    guesses = "accuracy is not beyond chance"
    to_base = apart(0.4, 0.0001) | {"to": "base"}
    tables = {
        "few": [cell("a", apart(0.2, None, seeds=1))],
        "void": [cell("a", apart(0.2, 0.0001), [flat])],
        "part": [cell("a", apart(-0.2, 0.0001), [flat]), cell("b", apart(0.2, 0.0001))],
        "baseline": [cell("base", None, [failed]), cell("a", to_base)],
        "one_guesses": [cell("base", None), cell("a", apart(-0.4, 0.0001) | {"to": "base"}, [guesses])],
        "both_guess": [cell("base", None, [guesses]), cell("a", to_base, [guesses])],
        "units": [cell("a", apart(0.2, 0.0001)), cell("b", apart(0.2, 0.0001), unit="m")],
        "other": [cell("a", apart(0.2, 0.0001), column="y")],
        "none": [cell("a", None)],
    }
    stated = [claim(target=name) for name in (*tables, "absent")]
    table, cells = judged(tmp_path, monkeypatch, stated, tables, {"absent": "papers.x: missing"})
    assert list(table["Verdict"]) == [
        "cannot be told: 2 training runs, too few for a verdict: training noise is not in this interval",
        f"cannot be told: {flat}",
        "supported, by 1 of 2 differences; the others are void",
        f"cannot be told: {failed}",
        "contradicted",
        f"cannot be told: {guesses}",
        "cannot be told: its differences are in several units",
        "cannot be told: other has no such row and column at this scale",
        "cannot be told: none has no such row and column at this scale",
        "cannot be told: papers.x: missing",
    ]
    assert re.search(r"a, x: -20\.0 points \[-[0-9.]+, -[0-9.]+\] \(void\)", table.loc["geon3d 3", "Estimate"])
    assert cells["geon3d 3", "Verdict"]["flags"] == [flat]


def test_an_estimate_has_the_decimals_of_its_interval(tmp_path, monkeypatch):
    small = {"value": -0.00031, "low": -0.00059, "high": -0.00003}
    tables = {
        "small": [cell("a", apart(1, 0.03) | small, unit="m")],
        "usual": [cell("a", apart(0.25, 0.03) | {"low": 0.03, "high": 0.47}, unit="")],
    }
    table, _ = judged(tmp_path, monkeypatch, [claim(target="small"), claim(target="usual")], tables)
    assert list(table["Estimate"]) == ["-0.00031 m [-0.00059, -0.00003]", "+0.250 [+0.030, +0.470]"]


def differences_as_printed():
    """For each target with printed numbers the cells that it would have, were every difference as in the paper."""
    found = {}

    def add(target, row, column, value, key="difference", **more):
        found.setdefault(target, []).append(cell(row, None, column=column, **{key: apart(value, 1e-9)}, **more))

    for column, value in geon3d.TABLE3.items():
        start, _, norm = column.rpartition("-")
        add("table3", "shifted", column, value - geon3d.TABLE3[f"AT-{norm}"], "difference_to_AT")
        if norm == "L2":
            add("table3", "shifted", column, value - geon3d.TABLE3[f"{start}-Linf"], "difference_to_Linf")
    for printed in geon3d.TABLE4.values():
        values = printed["values"]
        for column, value in values.items():
            add("table4", printed["row"], column, value - values["AT"], "difference_to_AT")
        for column in ("DVR+AT", "PxN+AT"):
            flat = (values["AE+AT"] + values["VAE+AT"]) / 2
            add("table4", printed["row"], column, values[column] - flat, "difference_to_2D")
    for label in shapebias.TABLE2:
        network = "ResNet-50" if label.startswith("ResNet-50") else label.removesuffix("-R")
        if network == label:
            continue
        add("shapebias/table2", label, "Shape", shapebias.TABLE2[label][1] - shapebias.TABLE2[network][1])
        if label in shapebias.TABLE4:
            add("shapebias/table4", label, "Mean TV", shapebias.TABLE4[label] - shapebias.TABLE4[network])
        for number, column in enumerate(shapebias.TABLE3_COLUMNS):
            if label in shapebias.TABLE3:
                value = shapebias.TABLE3[label][number] - shapebias.TABLE3[network][number]
                add("shapebias/table3", label, column, value)
    for label, values in shapebias.FIGURE6.items():
        for column, value in values.items():
            add("shapebias/figure6", label, column, value)
    for number in (1, 2, 3, 4):
        table = getattr(prior3d, f"TABLE{number}")
        for label, values in table.items():
            against = "Ours" if label.startswith("Ours ") else label.removesuffix(" + 3D-Prior")
            if label == "columns" or against in (label, "columns"):
                continue
            for column, value, other in zip(table["columns"], values, table[against], strict=True):
                add(f"prior3d/table{number}", label, "ours", value - other, stands_for={"row": label, "column": column})
    better = winn3d.TABLE5["3DWINN"] - winn3d.TABLE5["Baseline"]
    add("winn3d/table5", "3DWINN", "Test accuracy", better, "difference_to_baseline")
    errors = [winn3d.TABLE7[f"Adversarial error of {name}"] for name in ("3DWINN", "Baseline")]
    for column, ours, theirs in zip(winn3d.TABLE7_COLUMNS, *errors, strict=True):
        add("winn3d/table7", "Adversarial error of 3DWINN", column, ours - theirs, "difference_to_baseline")
    return found


def test_the_papers_own_numbers_support_what_they_claim(tmp_path, monkeypatch):
    """Of each claim whose numbers are printed: were ours the paper's, with hardly any noise, it would be supported."""
    printed = differences_as_printed()
    stated = [one for one in CLAIMS if one.target in printed]
    assert len(stated) >= 15 and {one.target for one in stated} == set(printed)
    for one in stated:
        table, _ = judged(tmp_path, monkeypatch, [replace(one, target="t")], {"t": printed[one.target]})
        assert list(table["Verdict"]) == ["supported"], (one.paper, one.section, one.words)


def test_a_table_with_one_row_is_enough_for_its_claims(tmp_path, monkeypatch):
    """Table 4 without the row of L2, which `table4_rows: {L2: null}` leaves out."""
    rows = [one for one in differences_as_printed()["table4"] if one["row"].startswith("Linf")]
    stated = [replace(one, target="t") for one in CLAIMS if one.target == "table4"]
    table, cells = judged(tmp_path, monkeypatch, stated, {"t": rows})
    assert len(table) == len(stated) >= 2 and not table["Verdict"].str.contains("no such row").any()
    assert all(part["row"].startswith("Linf") for one in cells.values() for part in one.get("differences", ()))


def test_a_claim_finds_its_cells():
    stands_for = {"row": "ViT-B/14 + 3D-Prior", "column": "NYU DPT"}  # whether its number is printed or not
    one = cell("SimSiam + 3D-Prior", apart(1, 0.5), stands_for=stands_for, epsilon=0.5)
    assert claim({"row": "*+ 3D-Prior", "paper column": "NYU *"}).speaks_of(one)
    assert claim({"row": ("x", "SimSiam*"), "epsilon": lambda epsilon: epsilon > 0}).speaks_of(one)
    assert not claim({"paper column": "ImageNet*"}).speaks_of(one)
    assert not claim({"epsilon": lambda epsilon: epsilon > 1}).speaks_of(one)
    assert not claim({"budget": lambda budget: True}).speaks_of(one)
    assert not claim({}).speaks_of(one | {"difference": None})


def test_the_papers_claims():
    """Three to seven of each paper, whose tables exist; `snakemake comparison` does not make them all."""
    counts = {}
    for one in CLAIMS:
        counts[one.paper] = counts.get(one.paper, 0) + 1
        assert one.target in every_target() and one.target.rpartition("/")[0] in ("", one.paper)
        assert one.sign in (1, -1) and len(one.words) > 20 and one.where
    assert len(counts) == 5 and all(3 <= count <= 7 for count in counts.values())
    assert len({one.words for one in CLAIMS}) == len(CLAIMS)
    assert "claims" in every_target() and "claims" not in of_paper("comparison")


def test_a_paper_that_is_left_out_is_said():
    plan = Plan(read_study([ROOT / "config.yaml"], {"scale": "test", "papers": {"winn3d": None}}))
    job = plan.target("claims")
    assert set(job.params["missing"]) == {one.target for one in CLAIMS if one.paper == "winn3d"}
    assert all("papers.winn3d: missing" in why for why in job.params["missing"].values())
    made_from = {file.stage for files in job.inputs.values() for file, _ in files}
    assert made_from == {"tabulate", "plot"} and len(job.inputs) == len(job.params["tables"])
