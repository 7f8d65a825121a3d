"""Figure 6: gain by 3D pre-training on geons, averaged over budgets.

For each experiment of figures 4 and 5 the difference, pre-trained minus from scratch, of robust accuracy, averaged
over the budgets above 0; then, without attack, the difference of accuracy on Table 3's shifted images. The paper's
caption mentions the average only; section 5.1 says "across all perturbation budgets", and its third pair of bars are
the differences of Table 3.
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.errors import UserError
from robust3d.named import Sources
from robust3d.papers.geon3d import table3
from robust3d.papers.geon3d.reported import TABLE3
from robust3d.tables.cells import conditions, data_conditions, run_flags, source, text_table, write_table
from robust3d.tables.robustness import (
    chance_flags,
    read_attacked,
    stand_ins,
    trained_against,
)
from robust3d.tables.statistics import bars_note, difference

if TYPE_CHECKING:
    from robust3d.attacks.params import Norm
    from robust3d.papers.geon3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

NORMS: "tuple[tuple[Norm, str], ...]" = (("Linf", "figure4"), ("L2", "figure5"))


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: for every bar the outcomes of both columns: attacks of figures 4 and 5, or Table 3's shift test."""
    study = plan.study
    found = Sources(plan)
    bars: list[dict[str, Any]] = []

    def add(kind: str, probe: str, norm: str, name: str, column: str, label: str, classifier: str, key: str) -> None:
        experiment = study.experiments[name]
        baseline, ours = (found.outcomes(name, probe, classifier, start) for start in (None, key))
        bars.append(
            {
                "kind": kind,
                "norm": norm,
                "column": column,
                "background": study.sets[experiment.set].background.kind,
                "label": label,
                "baseline": baseline,
                "ours": ours,
                "stand_ins": stand_ins(study, experiment),
                "data": data_conditions(plan, experiment.set),
            }
        )

    for norm, figure in NORMS:
        for name in getattr(section, figure).experiments:
            for classifier, label, key in _pair(plan, getattr(section, figure).pretraining, name, norm):
                if norm in study.attacks:
                    add("attack", norm, norm, name, name, label, classifier, key)
    name = section.table3
    for norm, figure in NORMS:
        for classifier, label, key in _pair(plan, getattr(section, figure).pretraining, name, norm):
            add("shift", section.table3_probe, norm, name, f"{name} shifted", label, classifier, key)
    return {"study": study.study, "seed": study.seed, "bars": bars}, found.inputs, {}


def _pair(plan: "Plan", wanted: "tuple[str, ...] | None", experiment: str, norm: "Norm") -> list[tuple[str, str, str]]:
    """(classifier, label, key) of the first pre-training in `wanted` (None: any), for a comparison with AT."""
    study = plan.study
    trained = trained_against(study, study.experiments[experiment], norm)
    columns = [(label, key) for label, key in plan.columns(experiment) if key and (wanted is None or key in wanted)]
    return [(trained[0], *columns[0])] if trained and columns else []


def cell(job: "Context", bar: dict[str, Any]) -> dict[str, Any]:
    """One bar: the mean difference in percentage points, with its interval and verdict."""
    if bar["kind"] == "attack":
        columns = [read_attacked(job, bar[side]) for side in ("ours", "baseline")]
        ours, baseline = ([model.correct[1:].mean(axis=0) for model in models] for models in columns)
        budgets = columns[0][0].budgets[1:]
        means = [np.mean([model.accuracy[1:] for model in models], axis=0) for models in columns]
        beside: dict[str, Any] = {"by_budget": dict(zip(map(str, budgets), (100 * (means[0] - means[1])).tolist()))}
        formula = f"mean over seeds and budgets above 0 of robust accuracy, {bar['label']} minus AT, x 100, one decimal"
        metrics = [model.metrics for models in columns for model in models]
        flags = [flag for models in columns for flag in chance_flags(models)]
        places = [s for models in columns for model in models for budget in budgets for s in model.sources(str(budget))]
    else:
        paths = {
            side: [(job.named("metrics", name), job.named("outcomes", name)) for name in bar[side]]
            for side in ("ours", "baseline")
        }
        ours, baseline = ([table3.correct_images(o, "shifted") for _, o in paths[side]] for side in paths)
        beside = {"printed": _printed(job, bar)}
        formula = f"mean over seeds of accuracy on shifted images, {bar['label']} minus AT, x 100, one decimal"
        pairs = [pair for side in paths.values() for pair in side]
        metrics = [json.loads(path.read_text()) for path, _ in pairs]
        flags = []
        places = [source(path, "/shifted/accuracy") for path, _ in pairs]
        places += [source(path, "correct where images = shifted") for _, path in pairs]
    found = difference(ours, baseline, [baseline, ours], job.params["seed"])
    flags += run_flags([content["classifier"] for content in metrics[: len(ours)]])
    flags += run_flags([content["classifier"] for content in metrics[len(ours) :]])
    return {
        "row": bar["norm"],
        "column": bar["column"],
        "text": f"{100 * found['value']:+.1f}".replace("-0.0", "+0.0"),
        "value": 100 * found["value"],
        "unit": "points",
        "formula": formula,
        "n": len(ours[0]),
        "interval": {key: found[key] for key in ("low", "high", "kind")},
        "difference_to_AT": {"to": "AT", **found},
        "printed": None,
        **beside,
        "flags": list(dict.fromkeys(bar["stand_ins"] + flags)),
        "conditions": [conditions(content["classifier"]) for content in metrics],
        "data": bar["data"],
        "sources": places,
    }


def _printed(job: "Context", bar: dict[str, Any]) -> dict[str, Any] | None:
    """The paper's value of the bar, computed from Table 3."""
    ours, baseline = (TABLE3.get(f"{label}-{bar['norm']}") for label in (bar["label"], "AT"))
    if ours is None or baseline is None:
        return None
    comparable = job.params["study"] == "paper" and not bar["stand_ins"]
    return {"row": "Table 3's difference", "value": round(ours - baseline, 1), "comparable": comparable}


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    from robust3d.figures.drawing import Bar, draw_bars

    bars = job.params["bars"]
    if not bars:
        raise UserError("figure6: no experiment of papers.geon3d.figure4 and figure5 has a pre-training to compare")
    cells = [cell(job, bar) for bar in bars]
    caption = "What 3D pre-training adds to adversarial training on geons, in percentage points."
    stand_ins = dict.fromkeys(flag for bar in bars for flag in bar["stand_ins"])
    caveats = [f"{flag[0].upper()}{flag[1:]}." for flag in stand_ins]
    write_table(job, text_table(cells, "threat"), " ".join([caption, *caveats]), cells)
    titles = ["spurious\ncorrelation" if bar["kind"] == "shift" else f"{bar['background']}\nbackground" for bar in bars]
    drawn = [
        Bar(
            f"{title}\nn = {found['n']:,}",
            found["row"],
            found["value"],
            100 * found["interval"]["low"],
            100 * found["interval"]["high"],
        )
        for title, found in zip(titles, cells)
    ]
    labels = " / ".join(dict.fromkeys(bar["label"] for bar in bars))
    note = (
        f"Study “{job.params['study']}”. Bars: {bars_note(cells[0]['difference_to_AT']['seeds'])}.\n"
        "Mean over budgets above 0; at the right Table 3, without attack."
    )
    draw_bars(drawn, f"{labels} minus AT (points)", "\n".join([note, *caveats]), job.outputs["picture"])
