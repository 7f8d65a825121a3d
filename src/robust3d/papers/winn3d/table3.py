"""Table 3: distances between generated and real volumes of each category: FID, and what few samples allow besides."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from robust3d.papers.winn3d import judged
from robust3d.papers.winn3d.judged import ALL, Judged, Report
from robust3d.papers.winn3d.reported import TABLE3, paper_class
from robust3d.tables.cells import text_table, write_table
from robust3d.tables.statistics import SHARE, UNBOUNDED

if TYPE_CHECKING:
    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

# Of each measure: keys of its value, the form of its text, and what it is.
SHARES = ("Coverage", "1-NNA", "Near copies")
MEASURES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "FID": (("fid", "value"), ".4g", "Fréchet distance of Gaussians fitted to features"),
    "KID": (("kid", "value"), ".3g", "unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)³"),
    "Coverage": (("coverage",), ".2f", "share of training volumes that are the nearest one of a generated volume"),
    "1-NNA": (("one_nearest", "accuracy"), ".2f", "accuracy of a nearest neighbour; 0.5: not to be told apart"),
    "Memorisation z": (("memorisation", "z"), ".2f", "rank test of distances to training volumes, against "
                       "those of held-out volumes; below -2: copied"),
    "Memorisation ratio": (("memorisation", "ratio"), ".2f", "median distance to training volumes, over that of "
                           "held-out volumes"),
    "Near copies": (("memorisation", "copies"), ".2f", "share that is nearer to training volumes than 99 % of the "
                    "held-out ones"),
}  # fmt: skip


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return judged.sources(plan, section)


def write(job: "Context") -> None:
    """A row for each measure and set; columns are categories, those of the paper too."""
    report, cells = judged.read(job), []
    columns = [*job.params["categories"], ALL]
    for measure in MEASURES:
        for one in report.samples:
            cells += [_cell(job, report, one, measure, column) for column in columns if _has(one, column)]
        if measure == "FID":
            for name, numbers in TABLE3.items():
                cells += judged.printed_row(job, f"FID of {name} (printed)", name, numbers, "g")
    caption = (
        "Distances between generated volumes and training volumes of a category, in the space of the reference "
        "network's last convolution. All rows of a column take equally many samples, as the cells say: with fewer "
        "samples than features a FID is biased, so held-out shapes are the row to compare with, and the z of copies or "
        "of what is far away grows with them. Printed numbers are of another network and of ModelNet10."
    )
    rows = list(dict.fromkeys(cell["row"] for cell in cells))
    cells.sort(key=lambda cell: columns.index(cell["column"]) if cell["column"] in columns else len(columns))
    write_table(job, text_table(cells, "measure", rows), caption, cells)


def _has(one: Judged, column: str) -> bool:
    return all(column in metrics["groups"] for metrics in one.metrics)


def _value(keys: tuple[str, ...], column: str) -> Callable[[dict[str, Any]], float | None]:
    def find(metrics: dict[str, Any]) -> float | None:
        found: Any = metrics["groups"].get(column)
        for key in keys:
            found = (found or {}).get(key)
        return None if found is None else float(found)

    return find


def _cell(job: "Context", report: Report, one: Judged, measure: str, column: str) -> dict[str, Any]:
    keys, form, formula = MEASURES[measure]
    groups = [metrics["groups"][column] for metrics in one.metrics]
    facts = judged.common(job, report, one)
    number, unlike = judged.number_of_samples([group["distance_samples"] for group in groups])
    facts["flags"] += [*judged.voids(groups), *unlike]
    if measure == "FID":
        facts["flags"] += list(
            dict.fromkeys(flag for group in groups for flag in group.get("fid", {}).get("flags", []))
        )
    bounds = SHARE if measure in SHARES else UNBOUNDED
    printed = TABLE3.get(one.printed or "", {}).get(paper_class(column)) if measure == "FID" else None
    return {
        "row": f"{measure} of {one.label}",
        "column": column,
        "unit": "",
        "formula": f"{formula}; mean over seeds",
        "n": number,
        # never comparable: the space is that of another network
        "printed": {"row": f"FID of {one.printed}", "value": printed, "comparable": False} if printed else None,
        **judged.number_cell(report, one, _value(keys, column), form, ("groups", column, *keys), bounds),
        **facts,
    }
