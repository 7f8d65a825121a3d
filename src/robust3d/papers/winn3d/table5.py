"""Table 5: accuracy of supervised classification, and from the text alone the error on validation volumes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.winn3d import compared
from robust3d.papers.winn3d.reported import ERROR_REDUCTION, PRINTED_ONLY, TABLE5
from robust3d.tables.cells import percent, source, text_table, write_table
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CLEAN = {"attack": "none"}
_LEAST_ERRORS = 10  # of the baseline, in all seeds: a share of fewer says little
TEST, VALIDATION, REDUCTION = "Test accuracy", "Validation error", "Validation error below the baseline's"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return compared.sources(plan, section)


def write(job: "Context") -> None:
    """One row a training; rows of networks that are not trained here are printed only."""
    models = compared.read(job)
    printed = {"unit": "%", "formula": "as printed", "sources": [], "flags": ["printed only: not trained here"]}
    cells: list[dict[str, Any]] = [
        {"row": name, "column": "Printed", "text": f"{TABLE5[name]:.1f}", "value": TABLE5[name], **printed}
        for name in PRINTED_ONLY
    ]
    for model in models.values():
        if model.printed:
            number = TABLE5[model.printed]
            cells.append({"row": model.label, "column": "Printed", "text": f"{number:.1f}", "value": number, **printed})
            cells[-1]["flags"] = ["as printed, on ModelNet10"]
        cells.append(_accuracy(job, model, models))
        cells += _validation(job, model, models[job.params["baseline"]])
    caption = (
        "Accuracy (%) of supervised classification. All trainings have as many passes through the network; the cells "
        "say how many. The 50 % lower validation error stands in the paper's text alone."
    )
    write_table(job, text_table(cells, "method"), caption, cells)


def _accuracy(job: "Context", model: compared.Model, models: dict[str, compared.Model]) -> dict[str, Any]:
    right = {key: [~wrong for wrong in other.wrong(CLEAN)] for key, other in models.items()}
    ours = right[model.key]
    value = float(np.mean([outcome.mean() for outcome in ours]))
    number = TABLE5.get(model.printed or "")
    peers = list(right.values())
    return {
        "row": model.label,
        "column": TEST,
        "text": percent(value),
        "value": 100 * value,
        "formula": "mean over seeds of right answers / test volumes, x 100, one decimal",
        "n": len(ours[0]),
        "interval": interval(ours),
        "difference_to_baseline": {
            "to": models[job.params["baseline"]].label,
            **difference(ours, right[job.params["baseline"]], peers, job.params["seed"]),
        },
        "chance": 100 / len(model.infos[0]["classes"]),
        "printed": {"row": model.printed, "value": number, "comparable": compared.comparable(job)} if number else None,
        **compared.common(job, model),
        "sources": [source(path, "prediction = label where attack = none") for path in model.paths],
    }


def _validation(job: "Context", model: compared.Model, baseline: compared.Model) -> list[dict[str, Any]]:
    errors, base = ([1 - info["validation"]["accuracy"] for info in m.infos] for m in (model, baseline))
    facts = {
        "row": model.label,
        "n": model.infos[0]["validation_volumes"],
        **compared.common(job, model),
        "sources": [source(path, "/validation/accuracy") for path in (*model.info_paths, *baseline.info_paths)],
    }
    formula = "mean over seeds of 1 - accuracy on validation volumes, x 100, one decimal"
    mean = float(np.mean(errors))
    error = {**facts, "column": VALIDATION, "text": percent(mean), "value": 100 * mean, "formula": formula}
    found = [{**error, "interval": compared.seeds_interval(errors), "sources": facts["sources"][: len(errors)]}]
    if model.key != baseline.key:
        wrong = round(facts["n"] * sum(base))
        reduction = 1 - float(np.mean(errors)) / float(np.mean(base)) if wrong >= _LEAST_ERRORS else None
        printed = {"row": "text", "value": ERROR_REDUCTION, "comparable": compared.comparable(job)}
        formula = "1 - mean validation error / mean validation error of the baseline, x 100, one decimal"
        cell = {**facts, "column": REDUCTION, "text": "–", "value": None, "formula": formula}
        if reduction is None:
            cell["flags"] = [
                *facts["flags"],
                f"the baseline is wrong on {wrong} validation volumes only: no share of it",
            ]
        else:
            cell |= {"text": percent(reduction), "value": 100 * reduction}
        found.append({**cell, "printed": printed if model.printed == "3DWINN" else None})
    return found
