"""Frozen backbones beside each other: what tables are made from, and their cells."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import OUTCOMES, Sources
from robust3d.tables.cells import conditions, data_conditions, percent, run_flags, source, text_table, write_table
from robust3d.tables.robustness import stand_ins
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    from robust3d.papers.prior3d.section import Row, Section
    from robust3d.provenance.runner import Context
    from robust3d.study.config import Study
    from robust3d.study.entries import Experiment
    from robust3d.study.plan import Plan

NOT_THE_PAPERS = "backbones, images and training sizes are not those of the paper; one factor of rendered views changes"
_REAL = ("benchmark", "folder", "torchvision")  # kinds of sets of the user's own pictures
Printed = Mapping[str, tuple[Any, ...]]


def sources(
    plan: "Plan",
    section: "Section",
    rows: "Sequence[Row]",
    probes: "Mapping[str, Sequence[Any]]",
    of: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a table is made from: for every row and probe the metrics and outcomes of each seed.

    Args:
        plan: of the study.
        section: of the paper.
        rows: backbones.
        probes: keys of `probes`, each with its columns.
        of: for keys of `probes`, the key of the experiment that has the classifiers; the section's for all others.
    """
    found, study = Sources(plan), plan.study
    names = {key: (of or {}).get(key, section.experiment) for key in probes}
    cells = [
        {
            **row.model_dump(include={"label", "against", "printed"}),
            "probes": {key: found.outcomes(names[key], key, section.classifier, row.pretraining) for key in probes},
        }
        for row in rows
    ]
    experiments = {key: study.experiments[name] for key, name in names.items()}
    params: dict[str, Any] = {"study": study.study, "seed": study.seed, "rows": cells}
    params["columns"] = [
        {"probe": key, **column.model_dump(exclude={"probe", "experiment"}, mode="json")}
        for key, columns in probes.items()
        for column in columns
    ]
    params["flags"] = [] if study.study == "paper" else _flags(study, experiments.values())
    params["data"] = {}
    for key in probes:
        asked = study.probe(key, experiments[key])
        params["data"][key] = {name: data_conditions(plan, image_set) for name, image_set in asked.sets.items()}
    return params, found.inputs, {}


def _flags(study: "Study", experiments: "Iterable[Experiment]") -> list[str]:
    """What no cell of a study at another scale than the paper's is."""
    return list(dict.fromkeys([NOT_THE_PAPERS, *(flag for one in experiments for flag in stand_ins(study, one))]))


class Outcomes:
    """The outcomes of one row's classifiers by one probe, a seed each."""

    def __init__(self, job: "Context", row: dict[str, Any], probe: str) -> None:
        import pandas as pd  # planning imports this module and needs none of it

        names = row["probes"][probe]
        self.metrics_paths, self.paths = ([job.named(kind, name) for name in names] for kind in OUTCOMES)
        self.metrics = [json.loads(path.read_text()) for path in self.metrics_paths]
        self.frames: list[pd.DataFrame] = [pd.read_parquet(path) for path in self.paths]

    def values(self, name: str, column: str) -> list[np.ndarray]:
        """For each seed (images,) one column of the outcomes of one set, in the order of the images."""
        kept = [frame[frame["images"] == name].sort_values("image") for frame in self.frames]
        return [frame[column].to_numpy(float) for frame in kept]

    def sources(self, name: str, column: str) -> list[dict[str, str]]:
        """Where they stand."""
        places = [source(path, f"{column} where images = {name}") for path in self.paths]
        return [*(source(path, "/classifier") for path in self.metrics_paths), *places]

    def facts(self) -> dict[str, Any]:
        """What every cell tells of the classifiers."""
        found = [metrics["classifier"] for metrics in self.metrics]
        return {"flags": run_flags(found), "conditions": [conditions(one) for one in found]}


def accuracy_cell(
    job: "Context", ours: Outcomes, against: Outcomes | None, name: str, peers: Sequence[Outcomes]
) -> dict[str, Any]:
    """A cell's facts: the accuracy on one set, and its difference to another row's."""
    rights = ours.values(name, "correct")
    value = float(np.mean([right.mean() for right in rights]))
    facts_of_set = ours.metrics[0]["sets"][name]
    chance = 1 / facts_of_set["classes"]
    facts = ours.facts()
    found = interval(rights)
    flags = [*facts["flags"], *facts_of_set["notices"]]
    if found["low"] <= chance:
        flags.append("accuracy is not beyond chance")
    cell = {
        **facts,
        "text": percent(value),
        "value": 100 * value,
        "unit": "%",
        "formula": "mean over seeds of right answers / images, x 100, one decimal",
        "n": len(rights[0]),
        "chance": chance,
        "interval": found,
        "flags": flags,
        "sources": ours.sources(name, "correct"),
    }
    if against is not None:
        columns = [peer.values(name, "correct") for peer in peers]
        cell["difference"] = difference(rights, against.values(name, "correct"), columns, job.params["seed"])
    return cell


def error_cell(job: "Context", ours: Outcomes, against: Outcomes | None, column: str = "rmse") -> dict[str, Any]:
    """A cell's facts: the mean over images of an error of depth, lower is better; the mean depth's error beside it."""
    errors, constant = ours.values("set", column), ours.values("set", f"mean_depth_{column}")
    others = against.values("set", column) if against else []
    known = np.isfinite(np.array([*errors, *constant, *others])).all(0)
    errors, constant, others = ([one[known] for one in found] for found in (errors, constant, others))
    value, mean_depth = (float(np.mean([one.mean() for one in found])) for found in (errors, constant))
    zeros = [np.zeros_like(one) for one in errors]
    found = difference(errors, zeros, [errors, zeros], job.params["seed"])
    facts = ours.facts()
    cell = {
        **facts,
        "text": f"{value:.3f}",
        "value": value,
        "unit": "units of the depth",
        "formula": "mean over seeds and images of the root of the mean squared error of depth in the object's pixels",
        "n": int(known.sum()),
        "mean_depth": mean_depth,
        "interval": {"low": found["low"], "high": found["high"], "kind": found["kind"].replace("paired ", "")},
        "flags": [*facts["flags"], *(["no better than the mean depth"] if value >= mean_depth else [])],
        "sources": ours.sources("set", column),
    }
    if against is not None:
        cell["difference"] = difference(errors, others, [errors, others], job.params["seed"])
    return cell


def write(job: "Context", caption: str, printed: Printed) -> None:
    """Write a table: a row for each backbone, a column for each set or head."""
    cells = cells_of(job, printed)
    write_table(job, text_table(cells, "backbone"), caption, cells)


def cells_of(job: "Context", printed: Printed) -> list[dict[str, Any]]:
    """The cells of all rows and columns."""
    rows = {row["label"]: row for row in job.params["rows"]}
    read: dict[tuple[str, str], Outcomes] = {}
    for label, row in rows.items():
        read |= {(label, probe): Outcomes(job, row, probe) for probe in row["probes"]}
    cells = []
    for label, row in rows.items():
        for column in job.params["columns"]:
            probe = column["probe"]
            ours, against = read[label, probe], read.get((row["against"], probe))
            if "set" in column:
                peers = [read[other, probe] for other in rows]
                cell = accuracy_cell(job, ours, against, column["set"], peers)
                cell["data"] = job.params["data"][probe][column["set"]]
            else:
                cell = error_cell(job, ours, against)
                cell["data"] = job.params["data"][probe]["set"]
            if "difference" in cell:
                cell["difference"] = {"to": row["against"], **cell["difference"]}
            cell["flags"] = list(dict.fromkeys([*job.params["flags"], *cell["flags"]]))
            comparable = job.params["study"] == "paper" and cell["data"].get("pictures", {}).get("kind") in _REAL
            cell["stands_for"] = {"row": row["printed"], "column": column["printed"]}  # of the paper, printed or not
            cell["printed"] = _printed(row["printed"], column["printed"], printed, comparable)
            cells.append({"row": label, "column": column["label"], **cell})
    return cells


def _printed(row: str | None, column: str | None, printed: Printed, comparable: bool) -> dict[str, Any] | None:
    if row not in printed or column not in printed["columns"]:
        return None
    value = printed[row][printed["columns"].index(column)]  # type: ignore[index]  # None is not in it
    return {"row": row, "column": column, "value": value, "comparable": comparable}
