"""Every initialisation under the same training and the same probes, as a table and as a picture.

Rows are initialisations after each training. Every cell but those of effort is the mean of a measure over seeds and
images, and its difference to the initialisation from scratch of the same architecture, after the same training. These
differences are the table's comparisons, for whose number their p-values are corrected.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import OUTCOMES, Sources
from robust3d.papers.comparison.columns import questions
from robust3d.papers.comparison.initialisations import AFTER, NONE, SCRATCH, alone, initialisations, partner, spent
from robust3d.papers.comparison.measures import MEASURES, WORDS, shape_and_decided
from robust3d.tables.cells import conditions, percent, run_flags, source, text_table, write_table
from robust3d.tables.multiple import holm
from robust3d.tables.ratios import over_counted
from robust3d.tables.robustness import attack_flags, stand_ins
from robust3d.tables.statistics import ALIKE, DIFFERS, bars_note, difference, interval, over_seeds

if TYPE_CHECKING:
    from robust3d.papers.comparison.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CAPTION = (
    "Every initialisation under the same training and the same probes: percent, and in brackets the difference in "
    "points to training from scratch of the same architecture. A star: it can be told apart from 0 among all "
    "comparisons of the table (Holm's correction at 5 %). A dash: the cell's flag says why there is no number."
)
IMAGES, COMPUTE = "Images seen", "Compute (min)"
AT_CHANCE = "accuracy is not beyond chance"
GUESSED = ("right", "corrupted", "transferred")  # measures that guessing makes better than nothing


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the table is made from: for every row and column the outcomes of each seed, or why there are none."""
    found, study = Sources(plan), plan.study
    starts, asked = initialisations(plan, section), questions(plan, found, section)
    rows = []
    for start in starts:
        other = partner(start, starts)
        row = {
            "label": start.label,
            "group": start.group,
            "against": other.label if other else None,
            "alone": None if other else alone(start),
            "spent": spent(plan, found, section, start),
            # after each training, to each question: names, or why there are none
            "outcomes": [[start.missing or one.ask(start, name) for one in asked] for name in section.trainings],
        }
        rows.append(row)
    columns = [{"question": number, **asdict(column)} for number, one in enumerate(asked) for column in one.columns]
    flags = [] if study.study == "paper" else stand_ins(study, study.experiments[section.experiment])
    params: dict[str, Any] = {"study": study.study, "seed": study.seed, "rows": rows, "columns": columns}
    params |= {
        "trainings": [one.label for one in section.trainings.values()],
        "groups": [NONE, *section.groups, *AFTER],
        "flags": flags,
    }
    return params, found.inputs, {}


def write(job: "Context") -> None:
    """Write the picture, its table and the cells."""
    cells = cells_of(job)
    write_table(job, text_table(cells, "initialisation, training"), CAPTION, cells)
    draw(job, cells)


def cells_of(job: "Context") -> list[dict[str, Any]]:
    """All cells, row by row; each with its `start` and `training`."""
    found, cells = Measured(job), []
    columns = {column["name"]: column for column in job.params["columns"]}
    rows = {row["label"]: row for row in job.params["rows"]}
    for label, row in rows.items():
        for training in job.params["trainings"]:
            place = {"row": f"{label}, {training}", "start": label, "training": training, "printed": None}
            for column in columns.values():
                cells.append({**place, "column": column["name"], **_cell(found, row, training, column)})
            cells += [{**place, **cell} for cell in _effort(job, row)]
    correct(cells)
    return cells


class Measured:
    """What was measured, by initialisation, training and column."""

    def __init__(self, job: "Context") -> None:
        self.job = job
        self.rows = {row["label"]: row for row in job.params["rows"]}
        self.columns = {column["name"]: column for column in job.params["columns"]}

    def asked(self, start: str, training: str, column: str) -> list[list[str]] | str:
        """For each seed names of outcomes; or why there are none."""
        at, question = self.job.params["trainings"].index(training), self.columns[column]["question"]
        found: list[list[str]] | str = self.rows[start]["outcomes"][at][question]
        return found

    @cache  # noqa: B019  (one object a table)
    def values(self, start: str, training: str, column: str) -> list[np.ndarray] | None:
        """For each seed a number for each image or site; None where there is none."""
        import pandas as pd  # planning imports this module and needs none of it

        names, shown = self.asked(start, training, column), self.columns[column]
        if isinstance(names, str):
            return None
        measure, found = MEASURES[shown["measure"]], []
        for of_seed in names:
            parts = []
            for name in of_seed:
                part = measure(pd.read_parquet(self.job.named("outcomes", name)), **shown["options"])
                if part is None:
                    return None
                parts.append(part)
            found.append(np.concatenate(parts))
        return found

    def interval(self, values: Sequence[np.ndarray], start: str, training: str, column: str) -> dict[str, Any] | None:
        """95 % interval of the mean of their `values`."""
        import pandas as pd

        measure = self.columns[column]["measure"]
        if measure == "predictivity":
            return over_seeds([float(np.nanmean(one)) for one in values])
        if measure == "shape":  # images that no seed decides are no part of the share
            frames = [pd.read_parquet(outcomes) for _, outcomes in self.paths(start, training, column)]
            values = over_counted(*zip(*map(shape_and_decided, frames), strict=True))
        return interval(values)

    def paths(self, start: str, training: str, column: str) -> list[tuple[Any, Any]]:
        """Metrics and outcomes of all seeds."""
        names = [name for of_seed in self.asked(start, training, column) for name in of_seed]
        return [tuple(self.job.named(kind, name) for kind in OUTCOMES) for name in names]  # type: ignore[misc]


def _cell(found: Measured, row: dict[str, Any], training: str, column: dict[str, Any]) -> dict[str, Any]:
    """A cell's facts, all but its place and what the number of comparisons makes of its difference."""
    job, place = found.job, (row["label"], training, column["name"])
    formula = f"mean over seeds of {WORDS[column['measure']]}"
    asked, values = found.asked(*place), found.values(*place)
    if values is None:
        why = asked if isinstance(asked, str) else "some network decides for neither shape nor texture on all images"
        return {"text": "–", "value": None, "formula": formula, "flags": [why], "sources": []}
    paths = found.paths(*place)
    metrics = [json.loads(path.read_text()) for path, _ in paths]
    runs = [one["classifier"] if "classifier" in one else one["cells"][0]["classifier"] for one in metrics]
    flags = [*job.params["flags"], *([row["alone"]] if row["alone"] else [])]
    flags += attack_flags(metrics) if _is_attack(column) else run_flags(runs)
    value = float(np.mean([np.nanmean(one) for one in values]))
    is_share = column["measure"] != "predictivity"
    ours = found.interval(values, *place)
    cell: dict[str, Any] = {
        "value": 100 * value if is_share else value,
        "unit": "%" if is_share else "Pearson's r",
        "formula": f"{formula}, x 100, one decimal" if is_share else formula,
        "n": len(values[0]),
        "interval": ours,
        "by_seed": [float(np.nanmean(one)) for one in values],
    }
    chance = float(np.mean([1 / len(run["classes"]) for run in runs]))  # a transfer has several targets
    if column["measure"] in GUESSED and ours is not None and ours["low"] <= chance:
        flags.append(AT_CHANCE)
    text = percent(value) if is_share else f"{value:.3f}"
    if row["against"] is not None:
        cell["difference"] = {"to": row["against"], **_difference(found, row, training, column["name"])}
        if (apart := cell["difference"]["value"]) is not None:
            text += f" ({100 * apart:+.1f})" if is_share else f" ({apart:+.3f})"
    return {
        **cell,
        "text": text,
        "chance": chance if column["measure"] in GUESSED else None,
        "flags": list(dict.fromkeys(flags)),
        "conditions": [conditions(run) for run in runs],
        "sources": [source(path, _pointer(column)) for _, path in paths],
    }


def _is_attack(column: dict[str, Any]) -> bool:
    return column["measure"] in ("robust", "area")


def _pointer(column: dict[str, Any]) -> str:
    """Where in the outcomes a cell's numbers stand."""
    what = {"robust": "robust", "area": "robust", "shape": "decision", "predictivity": "score"}.get(
        column["measure"], "correct"
    )
    kept = " and ".join(f"{name} = {value}" for name, value in column["options"].items())
    return f"{what} where {kept}" if kept else what


def _difference(found: Measured, row: dict[str, Any], training: str, column: str) -> dict[str, Any]:
    """To the partner from scratch; all initialisations of the same architecture say what noise of seeds to expect."""
    peers = [
        other["label"] for other in found.job.params["rows"] if row["against"] in (other["label"], other["against"])
    ]
    ours, theirs, *columns = (found.values(label, training, column) for label in (row["label"], row["against"], *peers))
    if ours is None or theirs is None:
        return {"value": None, "p": None, "verdict": None, "note": f"{row['against']} has no number here"}
    known = np.isfinite(np.array([*ours, *theirs])).all(0)
    kept = [[one[known] for one in seeds] for seeds in (ours, theirs, *(one for one in columns if one is not None))]
    return difference(kept[0], kept[1], kept[2:], found.job.params["seed"])


def _effort(job: "Context", row: dict[str, Any]) -> list[dict[str, Any]]:
    """What the pre-training took: images that its encoder saw, and time."""
    runs = [
        [tuple(job.named(kind, name) for kind in ("info", "record")) for name in run] for run in row["spent"]["runs"]
    ]
    read = [[(json.loads(info.read_text()), json.loads(record.read_text())) for info, record in run] for run in runs]
    before = row["spent"]["before"]
    flags = [before] if before else []
    gpus = sorted({record["host"]["gpu"] for run in read for _, record in run if record["host"]["gpu"]})
    seen = float(np.mean([sum(info["images_seen"] for info, _ in run) for run in read]))
    clock = "seconds" if gpus else "cpu_seconds"
    spent = float(np.mean([sum(record[clock] for _, record in run) for run in read])) / 60
    unit = f"min on {', '.join(gpus)}" if gpus else "CPU min"
    known = bool(runs[0]) or not before
    over = "over the pre-training and those that it started from, mean over its seeds"
    return [
        {
            "column": IMAGES,
            "text": f"{seen:,.0f}" if known else "–",
            "value": seen if known else None,
            "unit": "images",
            "formula": f"sum of images that the encoder saw {over}",
            "flags": flags,
            "sources": [source(info, "/images_seen") for run in runs for info, _ in run],
        },
        {
            "column": COMPUTE,
            "text": f"{spent:.1f}" if known else "–",
            "value": spent if known else None,
            "unit": unit,
            "formula": f"sum of the time that its jobs took {over}, as their records say",
            "processors": sorted({record["host"]["processor"] for run in read for _, record in run}),
            "flags": flags,
            "sources": [source(record, f"/{clock}") for run in runs for _, record in run],
        },
    ]


def correct(cells: Sequence[dict[str, Any]]) -> None:
    """Add to each difference the p-value and the verdict of Holm's correction, and a star to the texts of some."""
    apart = [cell for cell in cells if cell.get("difference", {}).get("p") is not None]
    for cell, p in zip(apart, holm([cell["difference"]["p"] for cell in apart]), strict=True):
        verdict = DIFFERS if p < 0.05 else ALIKE
        cell["difference"] |= {"p_holm": p, "verdict_holm": verdict, "comparisons": len(apart)}
        cell["text"] += "*" if verdict == DIFFERS else ""


def draw(job: "Context", cells: Sequence[dict[str, Any]]) -> None:
    """Draw the differences to scratch: a panel for each probe, a line for each initialisation."""
    from robust3d.figures.effects import Effect, Panel, draw_effects  # planning needs no matplotlib

    names = {column["name"]: column["shown"] for column in job.params["columns"] if column["shown"]}
    panels = []
    for name, title in names.items():
        own = [cell for cell in cells if cell["column"] == name and cell["value"] is not None]
        effects = []
        for cell in own:
            apart = cell.get("difference")
            if apart and apart["value"] is not None:
                scale = 100 if cell["unit"] == "%" else 1
                value, low, high = (scale * apart[bound] for bound in ("value", "low", "high"))
                differs = apart.get("verdict_holm") == DIFFERS
                effects.append(Effect(cell["start"], cell["training"], value, low, high, differs))
        baseline = [cell for cell in own if cell["start"] == SCRATCH]
        scratch = {cell["training"]: cell["text"] for cell in baseline}
        guesses = baseline and all(AT_CHANCE in cell["flags"] for cell in baseline)
        chance = percent(baseline[0]["chance"]) if guesses else None
        if effects:
            unit = "points" if own[0]["unit"] == "%" else "r"
            panels.append(Panel(title, unit, scratch, effects, chance))
    rows: dict[str, list[tuple[str, str]]] = {group: [] for group in job.params["groups"]}
    for row in job.params["rows"]:
        if any(effect.row == row["label"] for panel in panels for effect in panel.effects):
            suffix = "" if row["against"] == SCRATCH else f" (to {row['against']})"
            rows[row["group"]].append((row["label"], row["label"] + suffix))
    compared = [cell["difference"] for cell in cells if cell.get("difference", {}).get("p_holm") is not None]
    clear = sum(found["verdict_holm"] == DIFFERS for found in compared)
    headline = (
        f"{clear} of {len(compared)} differences to training from scratch can be told apart from 0"
        if compared
        else "Differences to training from scratch: too few training seeds to tell any apart from 0"
    )
    seeds = max((len(cell["by_seed"]) for cell in cells if "by_seed" in cell), default=0)
    note = (
        f"Study “{job.params['study']}”. {bars_note(seeds)}; coloured where Holm's correction over all comparisons of "
        "the table leaves a verdict, grey where it does not. Above each panel: what scratch has, by marker, and what "
        "guessing has where that is no less."
    )
    shown = {group: lines for group, lines in rows.items() if lines}
    draw_effects(panels, shown, job.params["trainings"], headline, note, job.outputs["picture"])
