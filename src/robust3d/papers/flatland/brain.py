"""Brain predictivity: how well frozen features predict the responses of sites (paper sections 3.4 and 4.3)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.papers.flatland import measures
from robust3d.tables.cells import text_table, write_table

if TYPE_CHECKING:
    from robust3d.papers.flatland.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = (
    "Pearson's r of predicted and measured responses (partial least squares, median over sites), of the layer that was "
    "chosen on other images, and the share of explainable variance."
)
FORMULA = "mean over seeds of the median over sites of Pearson's r on held-out images"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from."""
    return measures.sources(plan, section, ("brain",))


def write(job: "Context") -> None:
    """Write the table: a row for each start, two columns for each region."""
    found = measures.Measures(job)
    cells = []
    for start in found.starts.values():
        facts = start.facts("brain")
        for region in job.params["regions"]:
            place = {"row": start.label, **facts, "printed": None}
            cells.append({**place, "column": region, **_score(found, start, region)})
            cells.append({**place, "column": f"{region}, explained", **_explained(start, region)})
    write_table(job, text_table(cells, "start"), CAPTION, cells)


def _score(found: measures.Measures, start: measures.Start, region: str) -> dict[str, Any]:
    seeds = [of_seed[region] for of_seed in start.regions()]
    values = [one["value"] for one in seeds]
    ours, peers = start.predictivity(region), [other.predictivity(region) for other in found.starts.values()]
    cell = {
        "text": f"{np.mean(values):.3f}",
        "value": float(np.mean(values)),
        "unit": "Pearson's r",
        "formula": FORMULA,
        "n": len(ours[0]),
        "by_seed": values,
        "layers": [one["layer"] for one in seeds],
        "reliability": float(np.mean([one["ceiling"] for one in seeds])),
        "interval": measures.over_seeds(values) or _of_sites(seeds),
    }
    if start.than != start.label:
        # of the means over sites: medians have no variance components
        apart = found.compared(ours, found.starts[start.than].predictivity(region), peers)
        cell["difference"] = {"to": start.than, **apart}
    return cell


def _of_sites(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    kind = "bootstrap over sites, 95 %; training noise is not in it"
    return {**{name: float(np.mean([one[name] for one in seeds])) for name in ("low", "high")}, "kind": kind}


def _explained(start: measures.Start, region: str) -> dict[str, Any]:
    values = [of_seed[region]["explained"] for of_seed in start.regions()]
    formula = "mean over seeds of the median over sites of r squared / reliability, x 100, one decimal"
    if None in values:
        return {"text": "–", "value": None, "unit": "%", "formula": formula, "note": "no site is reliable"}
    value = float(np.mean(values))
    return {"text": f"{100 * value:.1f}", "value": 100 * value, "unit": "%", "formula": formula, "by_seed": values}
