"""Table 2: Inception scores of generated volumes, beside those of noise and of held-out shapes; class histograms."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.generation.params import ALL, CATEGORIES
from robust3d.papers.winn3d import judged
from robust3d.papers.winn3d.judged import Judged, Report
from robust3d.papers.winn3d.reported import TABLE2
from robust3d.tables.cells import pointer, source, text_table, write_table
from robust3d.tables.statistics import UNBOUNDED

if TYPE_CHECKING:
    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

SCORE, PRINTED = "Inception score", "Printed"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return judged.sources(plan, section)


def write(job: "Context") -> None:
    """One row a set of volumes; rows of generators that are not trained here are printed only."""
    report = judged.read(job)
    here = {_printed_name(one) for one in report.samples}
    cells = [_printed(name, "printed only: not trained here") for name in TABLE2 if name not in here]
    for one in report.samples:
        for scope, row in _scopes(job, one):
            cells.append(_score(job, report, one, scope, row))
            if name := _printed_name(one):
                cells.append({**_printed(name, "as printed, on ModelNet10"), "row": row})
        if one.kind.startswith("joint"):
            cells += _histogram(job, report, one)
    reference, categories = report.reference, len(job.params["categories"])
    alone = " and count these classes alone" if categories < len(report.classes) else ""
    caption = (
        "Inception score, mean ± standard deviation over the parts, mean over seeds. It grows with the samples and is "
        "at most the number of classes that count: all rows take equally many samples, as the cells say. Joint models "
        "know no classes, so rows of all classes are dealt into parts at random. Rows of separate models and of "
        f"{categories} categories have equal shares of each in every part{alone}: they are comparable with each other "
        "only. Columns “Share of …” say what class the reference network sees in samples of joint models. The network "
        f"is right on {reference['test_accuracy']:.1%} of {reference['test_volumes']} held-out shapes; the paper's was "
        "trained on ModelNet40."
    )
    write_table(job, text_table(cells, "method"), caption, cells)


def _scopes(job: "Context", one: Judged) -> list[tuple[str, str]]:
    """Over which classes a set is scored, and the name of the row."""
    few = f"{len(job.params['categories'])} categories"
    if one.kind:
        return [(CATEGORIES, one.label)] if one.kind == "separate-multi" else [(ALL, one.label)]
    return [(ALL, one.label), (CATEGORIES, f"{one.label}, {few}")]


def _printed_name(one: Judged) -> str | None:
    """The paper's row of a set: of 3D-GAN and 3D-VAE it does not say whether one model made all classes."""
    if one.printed is None:
        return None
    name = f"{one.printed}-{one.kind}" if one.printed == "3DWINN" else one.printed.replace("3D-VAE", "3D VAE")
    return name if name in TABLE2 else None


def _printed(name: str, flag: str) -> dict[str, Any]:
    value, deviation = TABLE2[name]
    return judged.printed_cell(name, PRINTED, f"{value:.2f} ± {deviation:.2f}", value, flag)


def _score(job: "Context", report: Report, one: Judged, scope: str, row: str) -> dict[str, Any]:
    scores = [metrics["inception"][scope] or {} for metrics in one.metrics]
    found = [score for score in scores if "mean" in score]
    most = found[0]["classes"] if found else None
    cell = judged.number_cell(
        report,
        one,
        lambda metrics: (metrics["inception"][scope] or {}).get("mean"),
        ".2f",
        ("inception", scope),
        (1.0, most) if most else UNBOUNDED,
    )
    facts = judged.common(job, report, one)
    number, unlike = judged.number_of_samples([score["samples"] for score in found] or [0])
    facts["flags"] += [*judged.voids(scores), *unlike]
    if cell["value"] is not None:
        deviation = float(np.mean([score["deviation"] for score in found]))
        mean, _, collapsed = cell["text"].partition(" ")
        cell["text"] = f"{mean} ± {deviation:.2f}" + f" {collapsed}" * bool(collapsed)
        cell["deviation_of_parts"] = deviation
    name = _printed_name(one)
    return {
        "row": row,
        "column": SCORE,
        "unit": "",
        "formula": "exp of the mean divergence of p(class | volume) from its mean, in each of the parts, which have "
        f"equal shares of every {'iteration' if scope == ALL else 'category'}; mean over parts and seeds",
        "n": number,
        "parts": found[0]["parts"] if found else None,
        "most": most,
        "printed": judged.printed_beside(job, report, name, TABLE2[name][0], most) if name else None,
        **cell,
        **facts,
    }


def _histogram(job: "Context", report: Report, one: Judged) -> list[dict[str, Any]]:
    """What share of a joint generator's samples each class is the most probable of."""
    counts = np.array([metrics["histogram"] for metrics in one.metrics], float)
    shares = 100 * (counts / counts.sum(1, keepdims=True)).mean(0)
    return [
        {
            "row": one.label,
            "column": f"Share of {name}",
            "text": f"{share:.0f}",
            "value": float(share),
            "unit": "%",
            "formula": "mean over seeds of samples whose most probable class it is / samples, x 100",
            "n": int(counts[0].sum()),
            **judged.common(job, report, one),
            "sources": [source(path, pointer("sets", one.name, "histogram", str(place))) for path in one.paths],
        }
        for place, (name, share) in enumerate(zip(report.reference["classes"], shares, strict=True))
    ]
