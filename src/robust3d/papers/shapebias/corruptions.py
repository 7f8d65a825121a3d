"""Errors on ImageNet-C's corruptions over all test images, and mean corruption errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.distortions.parameters import COMMON, EXTRA
from robust3d.papers.shapebias import compared
from robust3d.papers.shapebias.tableA1 import LABELS, sources
from robust3d.tables.cells import percent, text_table, write_table
from robust3d.tables.statistics import interval, over_seeds

if TYPE_CHECKING:
    from robust3d.papers.shapebias.compared import Compared
    from robust3d.provenance.runner import Context

__all__ = ["sources", "write"]

CLEAN, MEAN, RELATIVE = "Clean", "mCE", "Relative mCE"
FORMULA = "mean over seeds of {} wrong answers / test images, x 100, one decimal"


def write(job: "Context") -> None:
    """One row a model: errors without corruption, mean corruption error, its ratio to the first model's, each error."""
    models, cells = compared.read(job), []
    for model in models:
        there = list(model.metrics[0]["errors"])
        baseline = next(one for one in models if one.group == model.group)
        columns = {CLEAN: [compared.CLEAN]}
        if set(COMMON) <= set(there):
            columns |= {MEAN: list(COMMON), RELATIVE: list(COMMON)}
        columns |= {LABELS[name]: [name] for name in (*COMMON, *EXTRA) if name in there}
        for column, names in columns.items():
            facts = _relative(model, baseline, names) if column == RELATIVE else _error(model, names)
            flags = [*job.params["flags"], *model.facts()["flags"], *facts.pop("flags", [])]
            cell = {**model.facts(), "n": len(model.names), "unit": "%", "data": job.params["data"], **facts}
            cell |= {"flags": flags, "parameters": model.metrics[0]["parameters"]}
            cells.append({"row": model.label, "column": column, **cell})
    caption = (
        "Errors (%) on corrupted images, mean over severities. mCE is the mean over the fifteen common corruptions; "
        "relative mCE is the mean of ratios to the errors of the first model of the group, not to the published ones."
    )
    write_table(job, text_table(cells, "network"), caption, cells)


def _error(model: "Compared", names: Sequence[str]) -> dict[str, Any]:
    wrong = [1 - share for share in model.mean(names)]
    value = float(np.mean([one.mean() for one in wrong]))
    what = "the mean over corruptions and severities of" if len(names) > 1 else ""
    facts = {"text": percent(value), "value": 100 * value, "interval": interval(wrong)}
    return facts | {"formula": FORMULA.format(what).replace("  ", " "), "sources": model.source(names)}


def _relative(model: "Compared", baseline: "Compared", names: Sequence[str]) -> dict[str, Any]:
    """The mean over corruptions of our error over the baseline's, a seed with a seed."""
    errors = [[1 - table.loc[list(names)].to_numpy(float).mean(1) for table in one.shares] for one in (model, baseline)]
    facts: dict[str, Any] = {
        "formula": f"mean over seeds and corruptions of error / error of {baseline.label} of the same seed, x 100",
        "sources": [*model.source(names), *baseline.source(names)],
    }
    if any((found == 0).any() for found in errors[1]):
        flag = f"{baseline.label} makes no mistake under some corruption, so there is no ratio"
        return {**facts, "text": "–", "value": None, "flags": [flag]}
    ratios = np.array([float((ours / theirs).mean()) for ours, theirs in zip(*errors, strict=True)])
    facts |= {"text": percent(float(ratios.mean())), "value": 100 * float(ratios.mean())}
    found = None if model is baseline else over_seeds(ratios.tolist())
    return facts | ({"interval": found} if found else {})
