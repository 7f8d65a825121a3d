"""Table 4: the probability that the reference network gives to the class that volumes were made for."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.winn3d import judged
from robust3d.papers.winn3d.judged import Judged, Report
from robust3d.papers.winn3d.reported import TABLE4, paper_class
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import SHARE, t_interval

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

MEAN = "mean"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return judged.sources(plan, section)


def write(job: "Context") -> None:
    """One row a set of volumes that knows its class; columns are categories, those of the paper too."""
    report, outcomes, cells = judged.read(job), judged.read_outcomes(job), []
    for name, numbers in TABLE4.items():
        cells += judged.printed_row(job, f"{name} (printed)", name, numbers, ".4f")
    for one in report.sets:
        columns = [name for name in job.params["categories"] if all(name in m["groups"] for m in one.metrics)]
        cells += [_cell(job, report, one, column, outcomes) for column in columns]
        if len(columns) == len(job.params["categories"]):
            cells.append(_mean(job, report, one))
    reference = report.reference
    caption = (
        "Mean probability of the class that volumes were made for. Noise is what a synthesis starts from; independent "
        "voxels are each filled as often as in the category's training volumes; the mean shape has the voxels that are "
        f"filled most often. The reference network is right on {reference['test_accuracy']:.1%} of "
        f"{reference['test_volumes']} held-out shapes. Printed numbers are of another network and of ModelNet10."
    )
    write_table(job, text_table(cells, "method"), caption, cells)


def _cell(job: "Context", report: Report, one: Judged, column: str, outcomes: list["pd.DataFrame"]) -> dict[str, Any]:
    def find(metrics: dict[str, Any]) -> float:
        return float(metrics["groups"][column]["class_probability"])

    label = report.classes.index(column)
    samples = [frame[(frame["set"] == one.name) & (frame["label"] == label)]["probability"] for frame in outcomes]
    printed = TABLE4.get(one.printed or "", {}).get(paper_class(column))
    cell = judged.number_cell(report, one, find, ".4f", ("groups", column, "class_probability"), SHARE)
    if cell["interval"] is None:
        cell["interval"] = _over_samples(samples if one.own_samples else samples[:1])
    return {
        "row": one.label,
        "column": column,
        "unit": "",
        "formula": "mean over volumes and seeds of the softmax probability of the category",
        "n": len(samples[0]),
        "printed": judged.printed_beside(job, report, one.printed or "", printed),
        **cell,
        **judged.common(job, report, one),
    }


def _over_samples(samples: list["pd.Series[float]"]) -> dict[str, Any] | None:
    """95 % interval of a mean over samples, where that over seeds cannot be told."""
    values = np.concatenate([one.to_numpy(float) for one in samples])
    if len(values) < 2:
        return None
    return t_interval(values, SHARE, f"t over {len(values)} volumes, 95 %; training noise is not in this interval")


def _mean(job: "Context", report: Report, one: Judged) -> dict[str, Any]:
    """Mean over the categories."""
    categories = job.params["categories"]

    def find(metrics: dict[str, Any]) -> float:
        return float(np.mean([metrics["groups"][name]["class_probability"] for name in categories]))

    return {
        "row": one.label,
        "column": MEAN,
        "unit": "",
        "formula": f"mean over {', '.join(categories)}",
        "n": len(categories),
        **judged.number_cell(report, one, find, ".4f", ("groups",), SHARE),
        **judged.common(job, report, one),
    }
