"""What the probes found of the compared models, and on which images all of them are right."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import OUTCOMES, Sources
from robust3d.tables.cells import conditions, data_conditions, percent, run_flags, source, write_table
from robust3d.tables.robustness import CATEGORIES_STAND_IN, OTHER_PICTURES, stand_ins
from robust3d.tables.statistics import difference, interval

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.papers.shapebias.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CLEAN = "none"  # what the probes call an image as it is
NOT_THE_PAPERS = "rendered images and ResNet-18 at a small size stand in for ImageNet and the paper's networks"


def sources(plan: "Plan", section: "Section", probe: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a table is made from: of every model the metrics and outcomes of each seed."""
    found, study = Sources(plan), plan.study
    models = [
        {
            "label": model.label,
            "group": model.group,
            "printed": model.printed,
            "outcomes": found.outcomes(section.experiment, probe, model.classifier, model.pretraining),
        }
        for model in section.models
    ]
    experiment = study.experiments[section.experiment]
    image_set = study.probes[probe].sets.get("set", experiment.set)
    params: dict[str, Any] = {"study": study.study, "seed": study.seed, "models": models}
    flags = [flag for flag in stand_ins(study, experiment) if flag not in (CATEGORIES_STAND_IN, OTHER_PICTURES)]
    params["flags"] = [NOT_THE_PAPERS, *flags]
    params["data"] = data_conditions(plan, image_set)
    return params, found.inputs, {}


@dataclass(frozen=True)
class Compared:
    """One model.

    Attributes:
        label: its name.
        group: of models that are compared with each other.
        printed: the paper's network beside it, or None.
        metrics: of each seed.
        shares: of each seed, how often (kinds, images) are right; severities are averaged.
        names: of the images: class, instance and view.
        kind: what the outcomes call a kind, `distortion` or `corruption`.
        paths: of metrics and of outcomes, for each seed.
    """

    label: str
    group: str
    printed: str | None
    metrics: list[dict[str, Any]]
    shares: list["pd.DataFrame"]
    names: list[str]
    kind: str
    paths: tuple[list[Path], list[Path]]

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / len(self.metrics[0]["classifier"]["classes"])

    def clean(self) -> list[np.ndarray]:
        """For each seed (images,) bool, whether an image is right as it is."""
        return [table.loc[CLEAN].to_numpy() == 1 for table in self.shares]

    def mean(self, kinds: Sequence[str]) -> list[np.ndarray]:
        """For each seed (images,), how often an image is right, the mean over some kinds."""
        return [table.loc[list(kinds)].to_numpy(float).mean(0) for table in self.shares]

    def source(self, kinds: Sequence[str]) -> list[dict[str, str]]:
        """Where the answers to some kinds stand, and what is known of the classifiers."""
        rows = f"correct where {self.kind} is one of {', '.join(kinds)}"
        found = [(source(metrics, "/classifier"), source(rights, rows)) for metrics, rights in zip(*self.paths)]
        return [place for pair in found for place in pair]

    def facts(self) -> dict[str, Any]:
        """What every cell tells of the models behind it."""
        learned = interval(self.clean())["low"] > self.chance
        flags = [] if learned else ["clean accuracy is not beyond chance: the training did not work"]
        return {
            "clean_accuracy": float(np.mean([right.mean() for right in self.clean()])),
            "chance": self.chance,
            "printed": None,
            "flags": flags + run_flags([found["classifier"] for found in self.metrics]),
            "conditions": [conditions(found["classifier"]) for found in self.metrics],
        }


def read(job: "Context") -> list[Compared]:
    """The models of a table."""
    import pandas as pd  # planning imports this module and needs none of it

    models = []
    for entry in job.params["models"]:
        metrics, outcomes = ([job.named(kind, name) for name in entry["outcomes"]] for kind in OUTCOMES)
        frames = [pd.read_parquet(path) for path in outcomes]
        kind = "distortion" if "distortion" in frames[0] else "corruption"
        shares = [
            frame.pivot_table(index=kind, columns="image", values="correct", aggfunc="mean").astype(float)
            for frame in frames
        ]
        facts = frames[0].drop_duplicates("image").sort_values("image")
        known = [facts[name].astype(str) for name in ("class_name", "instance", "view") if name in facts]
        names = ["/".join(parts) for parts in zip(*known, strict=True)]
        found = [json.loads(path.read_text()) for path in metrics]
        place = entry["label"], entry["group"], entry["printed"]
        models.append(Compared(*place, found, shares, names, kind, (metrics, outcomes)))
    return models


def right_images(models: Sequence[Compared], group: str) -> np.ndarray:
    """(images,) bool: those that all models of a group, of every seed, get right as they are."""
    return np.all([right for model in models if model.group == group for right in model.clean()], axis=0)


def share_cell(
    job: "Context", model: Compared, peers: Sequence[Compared], kept: np.ndarray, kinds: Sequence[str]
) -> dict[str, Any]:
    """A cell's facts, all but its place: the share of the kept images that are right, the mean over kinds.

    Args:
        job: of the table.
        model: whose cell it is.
        peers: all of its group; the first is the one that it is compared with.
        kept: (images,) bool, those that all of them get right.
        kinds: distortions or corruptions.
    """
    group = ", ".join(one.label for one in peers)
    facts: dict[str, Any] = {
        "formula": f"mean over seeds{' and kinds' * (len(kinds) > 1)} of right answers to images that {group} of all "
        "seeds get right as they are, x 100, one decimal",
        "unit": "%",
        "n": int(kept.sum()),
        "tested_images": len(kept),
        **model.facts(),
        "data": job.params["data"],
        "sources": model.source(kinds),
    }
    facts["flags"] = [*job.params["flags"], *facts["flags"]]
    if not kept.any():
        return {**facts, "text": "–", "value": None, "flags": [*facts["flags"], f"no image is right by {group}"]}
    ours, *others = ([share[kept] for share in one.mean(kinds)] for one in (model, *peers))
    value = float(np.mean([share.mean() for share in ours]))
    facts |= {"text": percent(value), "value": 100 * value, "interval": interval(ours)}
    if model is not peers[0]:
        facts["difference"] = {"to": peers[0].label, **difference(ours, others[0], others, job.params["seed"])}
    return facts


def write(job: "Context", cells: Sequence[dict[str, Any]], index: str, caption: str) -> None:
    """Write the table of some cells, rows and columns in the order in which they first come.

    Each cell is put where it says: pandas' `unstack(sort=False)` mixes rows up where cells come column by column.
    """
    import pandas as pd  # planning imports this module and needs none of it

    texts = {(cell["row"], cell["column"]): cell["text"] for cell in cells}
    rows, columns = (list(dict.fromkeys(places)) for places in zip(*texts, strict=True))
    printed = [[texts.get((row, column), "") for column in columns] for row in rows]
    write_table(job, pd.DataFrame(printed, pd.Index(rows, name=index), columns), caption, list(cells))
