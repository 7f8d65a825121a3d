"""Figures 4, 5, 7 and 9: accuracy over the attack's budget, a panel for each experiment and norm.

The points are also written as a table: a row for each budget, 0 being the clean images, a column for each
curve; every cell has its lineage as in Table 4, and the attacks are those of Table 4 where it asks for the same.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robust3d.attacks.budgets import label as row_label
from robust3d.errors import UserError
from robust3d.named import Sources
from robust3d.tables.cells import data_conditions, text_table, write_table
from robust3d.tables.robustness import read_attacked, robust_cell, stand_ins, trained_against
from robust3d.tables.statistics import bars_note

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.attacks.params import Norm
    from robust3d.provenance.runner import Context
    from robust3d.study.config import Study
    from robust3d.study.plan import Plan


def sources(
    plan: "Plan", experiments: Sequence[str], pretraining: Sequence[str] | None, norms: "Sequence[Norm]"
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: for every column of the experiments the metrics and outcomes of each seed's model.

    Those without a curve are read too: differences take the noise of seeds from all columns, as in Table 4.

    Args:
        plan: of the study.
        experiments: keys of `experiments`, each with a panel for each norm.
        pretraining: keys of `pretraining` that have a curve beside AT; None: all of the experiment.
        norms: of the attacks.
    """
    study = plan.study
    found = Sources(plan)
    panels = []
    for name in experiments:
        experiment = study.experiments[name]
        for norm in norms:
            series = []
            for label, style, classifier, encoder in _columns(plan, name, norm):
                outcomes = found.outcomes(name, norm, classifier, encoder)
                drawn = encoder is None or pretraining is None or encoder in pretraining
                series.append({"label": label, "style": style, "outcomes": outcomes, "drawn": drawn})
            panel = {
                "experiment": name,
                "title": _title(study, experiment.set),
                "norm": norm,
                "series": series,
                "stand_ins": stand_ins(study, experiment),
                "data": data_conditions(plan, experiment.set),
            }
            panels += [panel] if series else []
    params = {"study": study.study, "seed": study.seed, "panels": panels}
    return params, found.inputs, {}


def _title(study: "Study", image_set: str) -> str:
    """Title of a panel: the family and its background, or the set."""
    family = study.family_of(image_set)
    if family is None:
        return image_set.capitalize()
    return f"{family.capitalize()}, {study.sets[image_set].background.kind} background"


def _columns(plan: "Plan", experiment: str, norm: "Norm") -> list[tuple[str, int, str, str | None]]:
    """(label, style, classifier, pre-training) of an experiment's columns; styles are the same in every figure."""
    study = plan.study
    if norm not in study.attacks:
        return []
    styles: dict[str | None, int] = {key: i for i, key in enumerate([None, *study.pretraining])}
    return [
        (label, styles[key], classifier, key)
        for classifier in trained_against(study, study.experiments[experiment], norm)
        for label, key in plan.columns(experiment)
    ]


def cells(job: "Context") -> list[dict[str, Any]]:
    """Every point of every curve, in the order of the panels; with `panel`, `series` and `epsilon`."""
    panels = job.params["panels"]
    several = len({panel["experiment"] for panel in panels}) > 1
    found = []
    for number, panel in enumerate(panels):
        peers = [read_attacked(job, series["outcomes"]) for series in panel["series"]]
        names = [f"{panel['experiment']} {one['label']}" if several else one["label"] for one in panel["series"]]
        for series, column, models in zip(panel["series"], names, peers):
            for budget in models[0].budgets if series["drawn"] else ():
                place = {"row": row_label(panel["norm"], budget), "column": column}
                facts = robust_cell(models, peers, names[0], str(budget), job.params["seed"], panel["stand_ins"])
                where = {"panel": number, "series": series["label"], "norm": panel["norm"], "epsilon": float(budget)}
                found.append({**place, **facts, **where, "data": panel["data"]})
    return found


def table_of(cells: Sequence[dict[str, Any]]) -> "pd.DataFrame":
    """The texts of the points: budgets ascending within each norm, empty where a curve has no such budget."""
    norms = list(dict.fromkeys(cell["norm"] for cell in cells))
    ordered = sorted(cells, key=lambda cell: (norms.index(cell["norm"]), cell["epsilon"]))
    return text_table(cells, "threat", list(dict.fromkeys(cell["row"] for cell in ordered)))


def write(job: "Context", caption: str) -> None:
    """Write the picture, the table and its cells."""
    from robust3d.figures.drawing import Panel, Point, Series, draw_curves  # planning needs no matplotlib

    if not job.params["panels"]:
        problem = f"{job.params['target']}: none of its experiments has classifiers trained against its norms"
        raise UserError(f"{problem}; see its entry under `papers` in the configuration")
    points = cells(job)
    stand_ins = dict.fromkeys(flag for panel in job.params["panels"] for flag in panel["stand_ins"])
    caveats = [f"{flag[0].upper()}{flag[1:]}." for flag in stand_ins]
    write_table(job, table_of(points), " ".join([caption, *caveats]), points)
    panels = []
    for number, panel in enumerate(job.params["panels"]):
        here = [cell for cell in points if cell["panel"] == number]
        series = [
            Series(
                entry["label"], entry["style"], [Point.of(cell) for cell in here if cell["series"] == entry["label"]]
            )
            for entry in panel["series"]
            if entry["drawn"]
        ]
        panels.append(Panel(panel["title"], panel["norm"], series, here[0]["n"], here[0]["chance"]))
    seeds = len(points[0]["conditions"])
    note = f"AutoAttack; study “{job.params['study']}”. Bars: {bars_note(seeds)}."
    draw_curves(panels, "\n".join([note, *caveats]), job.outputs["picture"])
