"""Table 7: adversarial errors and correction rates, under each reading of iterative FGSM and stronger attacks."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.winn3d import compared
from robust3d.papers.winn3d.reported import TABLE7, TABLE7_COLUMNS
from robust3d.tables.cells import percent, source, text_table, write_table
from robust3d.tables.ratios import over_counted
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    from robust3d.papers.winn3d.compared import Model
    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

KEYS = ("attack", "size", "reading", "clip", "binarised")
UNDONE = "binarising undoes a change below one half, so this is the error on clean volumes"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return compared.sources(plan, section)


def write(job: "Context") -> None:
    """Two rows a training and reading: its error, and its correction of another's errors."""
    models = compared.read(job)
    baseline = models[job.params["baseline"]]
    cells = []
    for model in models.values():
        for where in _attacks(model):
            if where["attack"] == "none":
                continue
            column, suffix = _column(where), _suffix(job, where)
            cells.append(_error(job, model, models, where, column, suffix))
            judged = models[job.params["introspective"]] if model is baseline else baseline
            if where["attack"] != "AutoAttack" and where in _attacks(judged):
                cells.append(_correction(job, judged, model, where, column, suffix))
    cells.sort(key=lambda cell: (cell["reading"] != "", cell["reading"]))
    caption = (
        "Adversarial error (%) of each training on volumes attacked on itself, and correction rate (%): of the wrong "
        "answers of A on its adversarial volumes, the share that B gets right. B corrects the baseline; the baseline "
        "corrects 3DWINN. Rows without brackets are under the reading that the section names. FGSM alone carries no "
        "claim of robustness: see the columns of AutoAttack, flips and turns."
    )
    write_table(job, text_table(cells, "measure"), caption, cells)


def _attacks(model: "Model") -> list[dict[str, Any]]:
    rows = model.outcomes[0][list(KEYS)].drop_duplicates()
    return [dict(zip(KEYS, values)) for values in rows.itertuples(index=False)]


def _column(where: dict[str, Any]) -> str:
    attack, size = where["attack"], where["size"]
    if attack == "I-FGSM":
        return f"I-FGSM {size:g}"
    if attack == "AutoAttack":
        return f"AutoAttack Linf {size:g}"
    return f"{size:g} flips" if attack == "flips" else str(attack).capitalize() if attack != "FGSM" else "FGSM"


def _suffix(job: "Context", where: dict[str, Any]) -> str:
    """Nothing for the main reading; FGSM is the same under each reading of steps."""
    if where["attack"] not in ("FGSM", "I-FGSM"):
        return ""
    reading, clip = job.params["main"]
    epsilon = job.params["epsilon"]
    steps = {"each": f"steps of {epsilon:g}", "total": f"{epsilon:g} in all", "fifth": f"steps of {epsilon / 5:g}"}
    found = [] if where["attack"] == "FGSM" or where["reading"] == reading else [steps[where["reading"]]]
    if where["clip"] != clip:
        found.append("clipped" if where["clip"] else "not clipped")
    return ", ".join([*found, *["binarised"] * where["binarised"]])


def _row(name: str, suffix: str) -> str:
    return f"{name} [{suffix}]" if suffix else name


def _error(
    job: "Context", model: "Model", models: dict[str, "Model"], where: dict[str, Any], column: str, suffix: str
) -> dict[str, Any]:
    baseline = models[job.params["baseline"]]
    wrong = model.wrong(where)
    there = {key: other.wrong(where) for key, other in models.items() if where in _attacks(other)}
    value = float(np.mean([outcome.mean() for outcome in wrong]))
    facts = compared.common(job, model)
    return {
        "row": _row(f"Adversarial error of {model.label}", suffix),
        "column": column,
        "reading": suffix,
        "text": percent(value),
        "value": 100 * value,
        "formula": "mean over seeds of N_A / N, wrong answers / attacked test volumes, x 100, one decimal",
        "n": len(wrong[0]),
        "interval": interval(wrong),
        "difference_to_baseline": {
            "to": _row(f"Adversarial error of {baseline.label}", suffix),
            **difference(wrong, there[baseline.key], list(there.values()), job.params["seed"]),
        }
        if baseline.key in there
        else None,
        "attack": {**where, "settings": model.metrics[0]["attack"]},
        "printed": _printed(job, f"Adversarial error of {model.printed}", column, suffix),
        **facts,
        "flags": facts["flags"] + _flags(model, where),
        "sources": [source(path, _pointer(where)) for path in model.paths],
    }


def _correction(
    job: "Context", attacked: "Model", judge: "Model", where: dict[str, Any], column: str, suffix: str
) -> dict[str, Any]:
    """How many of the wrong answers of `attacked` the `judge` gets right."""
    by_a, by_b = attacked.wrong(where), attacked.wrong(where, judge.key)
    rates = [correction_rate(*pair) for pair in zip(by_a, by_b, strict=True)]
    known = [rate for rate in rates if np.isfinite(rate)]
    value = float(np.mean(known)) if known else None
    facts = compared.common(job, judge)
    found = compared.seeds_interval(rates)
    if found is None and len(known) == len(rates):  # no noise of seeds to be seen: that of the volumes is the least
        found = interval(over_counted([a & ~b for a, b in zip(by_a, by_b, strict=True)], by_a))
    none = [f"{len(rates) - len(known)} seeds of {attacked.label} have no wrong answer to correct"]
    return {
        "row": _row(f"Correction rate by {judge.label}", suffix),
        "column": column,
        "reading": suffix,
        "text": "–" if value is None else percent(value),
        "value": None if value is None else 100 * value,
        "formula": f"mean over seeds of 1 - N_AB / N_A, A is {attacked.label}, x 100, one decimal",
        "n": [int(wrong.sum()) for wrong in by_a],
        "interval": found,
        "attack": where,
        "printed": _printed(job, f"Correction rate by {judge.printed}", column, suffix),
        **facts,
        "flags": facts["flags"] + _flags(attacked, where) + none * (len(known) < len(rates)),
        "sources": [source(path, f"by {judge.key} where {_pointer(where)}") for path in attacked.paths],
    }


def _flags(model: "Model", where: dict[str, Any]) -> list[str]:
    flags = []
    if where["attack"] in ("FGSM", "I-FGSM"):
        unfelt = [metrics["zero_gradients"] for metrics in model.metrics]
        if any(unfelt):
            flags.append(f"the loss gives no gradient on {', '.join(map(str, unfelt))} volumes, by seed")
        if where["binarised"]:
            flags.append(UNDONE)
    if where["attack"] == "AutoAttack":
        for metrics in model.metrics:
            flags += metrics["autoattack"]["flags"]["invalid"] + metrics["autoattack"]["flags"]["notices"]
    return list(dict.fromkeys(flags))


def _printed(job: "Context", row: str, column: str, suffix: str) -> dict[str, Any] | None:
    if suffix or row not in TABLE7 or column not in TABLE7_COLUMNS:
        return None
    value = TABLE7[row][TABLE7_COLUMNS.index(column)]
    return {"row": row, "value": value, "comparable": compared.comparable(job)}


def _pointer(where: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in where.items())


def correction_rate(wrong_by_a: compared.Bits, wrong_by_b: compared.Bits) -> float:
    """1 - N_{A and B} / N_A: of A's wrong answers on its adversarial examples, the share that B gets right.

    NaN if A gets none wrong.
    """
    return float(np.mean(~wrong_by_b[wrong_by_a])) if wrong_by_a.any() else float("nan")
