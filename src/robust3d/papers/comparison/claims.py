"""Which claims of the five papers hold here, at this scale.

Every claim is read from the differences in cells of its paper's table (`robust3d.papers.comparison.stated`), which this
table is made from. It is supported if all of them have its sign, contradicted if one has the other. The p-value of the
first is the largest of theirs, as all must hold; that of the second the smallest times their number, as any may. A
verdict needs a p-value below 5 % after Holm's correction over all claims.
"""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.errors import UserError
from robust3d.named import Sources
from robust3d.papers.comparison.stated import CLAIMS, Claim
from robust3d.tables.cells import pointer, source, text_table, write_table
from robust3d.tables.multiple import holm

if TYPE_CHECKING:
    from robust3d.papers.comparison.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

LEVEL = 0.05
SUPPORTED, CONTRADICTED, CANNOT = "supported", "contradicted", "cannot be told"
# Flags under which a difference says nothing of a claim.
VOID = ("not beyond chance", "at most twice that of guessing", "NOT VALID", "collapsed:", "responses are synthetic")
CAPTION = (
    "Claims of the five papers and what this study says of them: differences with their 95 % intervals, the p-value of "
    "the claim or of its opposite, the same corrected for all claims (Holm), and a verdict at 5 %."
)
FORMULA = (
    "supported: all differences have the claim's sign, p the largest of theirs; contradicted: one has the other, p "
    "the smallest of these x their number; Holm's correction over all claims, 5 %"
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
    """The differences of a claim, whether they have its sign, and a p-value; or why there is no answer."""
    blank: dict[str, Any] = {"found": [], "holds": None, "p": None, "flags": [], "sources": []}
    if claim.target in job.params["missing"]:
        return blank | {"why": job.params["missing"][claim.target]}
    path = job.named("cells", job.params["tables"][claim.target])
    content = json.loads(path.read_text(encoding="utf-8"))
    named = [(number, cell) for number, cell in enumerate(content["cells"]) if claim.speaks_of(cell)]
    if not named:
        return blank | {"why": f"{claim.target} has no such row and column at this scale"}
    flags = list(dict.fromkeys(flag for _, cell in named for flag in cell["flags"]))
    places = [source(path, pointer("cells", str(number), claim.difference)) for number, _ in named]
    facts = {**blank, "flags": flags, "sources": places, "found": [_difference(claim, cell) for _, cell in named]}
    valid = [one for one in facts["found"] if one["void"] is None]
    if not valid:
        return facts | {"why": facts["found"][0]["void"]}
    if any(one["p"] is None for one in valid):
        return facts | {"why": "fewer than three training seeds, so that their noise is not known"}
    against = [one["p"] for one in valid if claim.sign * one["value"] < 0]
    p = min(1.0, min(against) * len(valid)) if against else max(one["p"] for one in valid)
    return facts | {"holds": not against, "p": p, "why": None}


def _difference(claim: Claim, cell: dict[str, Any]) -> dict[str, Any]:
    """One difference in the unit of its cell (points for shares), with what makes it void."""
    found, times = cell[claim.difference], 100 if cell.get("unit") in ("%", "points") else 1
    numbers = {name: None if found[name] is None else times * found[name] for name in ("value", "low", "high")}
    void = next((flag for flag in cell["flags"] if any(word in flag for word in VOID)), None)
    facts = {"row": cell["row"], "column": cell["column"], "p": found["p"], "kind": found["kind"], "void": void}
    return {**facts, **numbers, "unit": "points" if times == 100 else cell.get("unit", "")}


def verdict(one: dict[str, Any]) -> str:
    """One word or a reason."""
    if one["why"] is not None:
        return f"{CANNOT}: {one['why']}"
    if one["p_holm"] >= LEVEL:
        return f"{CANNOT}: 0 is not excluded among all claims"
    return SUPPORTED if one["holds"] else CONTRADICTED


def _row(name: str, claim: Claim, one: dict[str, Any]) -> list[dict[str, Any]]:
    shared: dict[str, Any] = {
        "row": name,
        "value": None,
        "formula": "as the paper states it, in our words",
        "flags": [],
        "sources": [],
    }
    words = {
        "Paper": claim.paper,
        "Section": claim.section,
        "Claim": claim.words,
        "Read from": f"results/{claim.target}",
    }
    cells = [{**shared, "column": column, "text": text} for column, text in words.items()]
    facts = {
        **shared,
        "formula": FORMULA,
        "flags": one["flags"],
        "sources": one["sources"],
        "differences": one["found"],
    }
    facts |= {"expected": "above 0" if claim.sign > 0 else "below 0", "p": one["p"], "p_holm": one["p_holm"]}
    numbers = [_p(one[key]) for key in ("p", "p_holm")]
    texts = {
        "Estimate": _estimate(claim, one["found"]),
        "p": numbers[0],
        "p (Holm)": numbers[1],
        "Verdict": verdict(one),
    }
    return [*cells, *({**facts, "column": column, "text": text} for column, text in texts.items())]


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _estimate(claim: Claim, found: Sequence[dict[str, Any]]) -> str:
    """The differences with their intervals, and the sign that they should have."""
    if not found:
        return "–"
    shown = []
    for one in found[:_SHOWN]:
        digits = _digits(one)
        bounds = "" if one["low"] is None else f" [{one['low']:+.{digits}f}, {one['high']:+.{digits}f}]"
        place = f"{one['row']}, {one['column']}: " if len(found) > 1 else ""
        void = " (void)" if one["void"] else ""
        shown.append(f"{place}{one['value']:+.{digits}f}{' ' * bool(one['unit'])}{one['unit']}{bounds}{void}")
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{'; '.join(shown)}{more}"


def _digits(one: dict[str, Any]) -> int:
    """Decimals of a difference: one of points, else at least three, and two that count of half its interval."""
    if one["unit"] == "points":
        return 1
    width = 0.0 if one["low"] is None else (one["high"] - one["low"]) / 2
    return 3 if width <= 0 else max(3, 1 - math.floor(math.log10(width)))
