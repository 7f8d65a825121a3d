"""Which claims of the five papers hold here, at this scale.

Every claim is read from differences in cells of its paper's tables (`robust3d.papers.comparison.stated`), which this
table is made from. Papers speak of what holds on the whole, and their own tables have exceptions: so a claim is judged
by the mean of its differences, with an interval that holds however they depend on each other. It is supported if that
mean has the claim's sign, contradicted if it has the other, and neither unless its p-value is below 5 % after Holm's
correction over all claims.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.errors import UserError
from robust3d.named import Sources
from robust3d.papers.comparison.stated import CLAIMS, Claim
from robust3d.tables.cells import pointer, source, text_table, write_table
from robust3d.tables.multiple import holm
from robust3d.tables.statistics import mean_difference
from robust3d.tables.words import OF_SHARES, decimals

if TYPE_CHECKING:
    from robust3d.papers.comparison.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

LEVEL = 0.05
SUPPORTED, CONTRADICTED, CANNOT = "supported", "contradicted", "cannot be told"
# Flags under which a difference says nothing of a claim: if either side has one, and if both have.
EITHER = ("did not work", "at most twice that of guessing", "NOT VALID", "collapsed:", "responses are synthetic")
BOTH = ("accuracy is not beyond chance", "no better than the mean depth", "labels of other images")
CAPTION = (
    "Claims of the five papers and what this study says of them: differences with their 95 % intervals, where there "
    "are several their mean, its p-value, the same corrected for all claims (Holm), and a verdict at 5 %."
)
FORMULA = (
    "mean of the differences, with the mean of their standard errors and the fewest degrees of freedom; supported: it "
    "has the claim's sign; contradicted: the other; Holm's correction over all claims, 5 %"
)
_SHOWN = 6  # differences in an estimate's text


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The cells of every table that a claim speaks of; of those that this study does not make, why."""
    found, tables, missing = Sources(plan), {}, {}
    for target in dict.fromkeys(claim.target for claim in CLAIMS):
        try:
            tables[target] = found.add(plan.target(target), "cells")
        except UserError as error:
            missing[target] = str(error)
    return {"study": plan.study.study, "tables": tables, "missing": missing}, found.inputs, {}


def write(job: "Context") -> None:
    """A row for each claim."""
    judged = [_judged(job, claim) for claim in CLAIMS]
    known = [one["p"] for one in judged if one["p"] is not None]
    corrected = iter(holm(known))
    cells, counted = [], dict.fromkeys((claim.paper for claim in CLAIMS), 0)
    for claim, one in zip(CLAIMS, judged, strict=True):
        one["p_holm"] = next(corrected) if one["p"] is not None else None
        counted[claim.paper] += 1
        cells += _row(f"{claim.paper} {counted[claim.paper]}", claim, one)
    write_table(job, text_table(cells, "claim"), CAPTION, cells)


def _judged(job: "Context", claim: Claim) -> dict[str, Any]:
    """The differences of a claim and their mean; or why there is no answer."""
    blank: dict[str, Any] = {"found": [], "mean": None, "p": None, "flags": [], "sources": []}
    if claim.target in job.params["missing"]:
        return blank | {"why": job.params["missing"][claim.target]}
    path = job.named("cells", job.params["tables"][claim.target])
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    named = [(number, cell) for number, cell in enumerate(cells) if claim.speaks_of(cell)]
    if not named:
        return blank | {"why": f"{claim.target} has no such row and column at this scale"}
    flags = list(dict.fromkeys(flag for _, cell in named for flag in cell["flags"]))
    places = [source(path, pointer("cells", str(number), claim.difference)) for number, _ in named]
    found = [_difference(claim, cell, cells) for _, cell in named]
    return {**blank, "flags": flags, "sources": places, "found": found, **judge(claim, found)}


def judge(claim: Claim, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of the differences that are not void, and its p-value; or why there is none.

    Args:
        claim: that they speak of.
        found: differences as `robust3d.tables.statistics.difference` states them, each with `unit` and `void`.
    """
    valid = [one for one in found if one["void"] is None]
    if not valid:
        return {"why": found[0]["void"]}
    if note := next((one["note"] for one in valid if one["standard_error"] is None), None):
        return {"why": note}
    if len({one["unit"] for one in valid}) > 1:
        return {"why": "its differences are in several units"}
    mean = mean_difference(valid) | {"unit": valid[0]["unit"], "of": len(valid)}
    mean["with the sign"] = sum(claim.sign * one["value"] > 0 for one in valid)
    return {"mean": mean, "p": mean["p"], "holds": claim.sign * mean["value"] > 0, "why": None}


def _difference(claim: Claim, cell: dict[str, Any], cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One difference in the unit of its cell (points for shares), with what makes it void."""
    found, times = cell[claim.difference], 100 if cell.get("unit") in OF_SHARES else 1
    scaled = ("value", "low", "high", "standard_error")
    numbers = {name: None if found[name] is None else times * found[name] for name in scaled}
    beside = {name: found[name] for name in ("p", "degrees", "seeds", "kind", "note")}
    facts = {"row": cell["row"], "column": cell["column"], "void": _void(cell, _baseline(cell, found, cells))}
    return {**facts, **numbers, **beside, "unit": "points" if times == 100 else cell.get("unit", "")}


def _baseline(cell: dict[str, Any], found: dict[str, Any], cells: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The cell that the difference is to: another row's or another column's; None if it has no cell of its own."""
    places = [(found.get("to"), cell["column"]), (cell["row"], found.get("to"))]
    return next((other for other in cells if (other["row"], other["column"]) in places), None)


def _void(cell: dict[str, Any], baseline: dict[str, Any] | None) -> str | None:
    """The flag for which a difference of two cells says nothing."""
    ours, theirs = (side["flags"] if side else [] for side in (cell, baseline))
    either = [flag for flag in [*ours, *theirs] if any(word in flag for word in EITHER)]
    both = [flag for flag in ours if any(word in flag for word in BOTH) and (baseline is None or flag in theirs)]
    return next(iter([*either, *both]), None)


def verdict(one: dict[str, Any]) -> str:
    """One word or a reason."""
    if one["why"] is not None:
        return f"{CANNOT}: {one['why']}"
    if one["p_holm"] >= LEVEL:
        return f"{CANNOT}: 0 is not excluded among all claims"
    void = sum(found["void"] is not None for found in one["found"])
    part = f", by {one['mean']['of']} of {len(one['found'])} differences; the others are void" if void else ""
    return (SUPPORTED if one["holds"] else CONTRADICTED) + part


def _row(name: str, claim: Claim, one: dict[str, Any]) -> list[dict[str, Any]]:
    shared: dict[str, Any] = {
        "row": name,
        "value": None,
        "formula": "as the paper states it, in our words",
        "flags": [],
        "sources": [],
    }
    facts = {
        **shared,
        "formula": FORMULA,
        "flags": one["flags"],
        "sources": one["sources"],
        "differences": one["found"],
        "mean": one["mean"],
        "expected": "above 0" if claim.sign > 0 else "below 0",
        "p": one["p"],
        "p_holm": one["p_holm"],
    }
    texts = [  # in the order in which a reader asks
        ("Claim", shared, claim.words),
        ("Verdict", facts, verdict(one)),
        ("Estimate", facts, _estimate(one)),
        ("p", facts, _p(one["p"])),
        ("p (Holm)", facts, _p(one["p_holm"])),
        ("Section", shared, claim.section),
        ("Read from", shared, f"results/{claim.target}"),
        ("Paper", shared, claim.paper),
    ]
    return [{**of, "column": column, "text": text} for column, of, text in texts]


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _estimate(one: dict[str, Any]) -> str:
    """The differences with their intervals; before several their mean."""
    found, mean = one["found"], one["mean"]
    if len(found) < 2:
        return _stated(found[0]) if found else "–"
    parts = [f"{part['row']}, {part['column']}: {_stated(part)}" for part in found[:_SHOWN]]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    head = ""
    if mean is not None:
        head = f"mean {_stated(mean)}, {mean['with the sign']} of {mean['of']} with the claim's sign: "
    return head + "; ".join([*parts, *more])


def _stated(one: dict[str, Any]) -> str:
    """A difference with its unit and interval."""
    digits = 1 if one["unit"] == "points" else decimals(one["low"], one["high"])
    bounds = "" if one["low"] is None else f" [{one['low']:+.{digits}f}, {one['high']:+.{digits}f}]"
    return (
        f"{one['value']:+.{digits}f}{' ' * bool(one['unit'])}{one['unit']}{bounds}{' (void)' * bool(one.get('void'))}"
    )
