"""What the probes found of the compared models, and on which images all of them are right."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robust3d.named import OUTCOMES, Sources
from robust3d.tables.cells import conditions, data_conditions, percent, pointer, run_flags, source
from robust3d.tables.robustness import CATEGORIES_STAND_IN, OTHER_PICTURES, stand_ins
from robust3d.tables.statistics import difference, interval, over_seeds, seed_difference

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from robust3d.figures.groups import Bars
    from robust3d.papers.shapebias.section import Model, Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

CLEAN = "none"  # what the probes call an image as it is
NOT_THE_PAPERS = "rendered images and networks at a small size stand in for ImageNet and the paper's networks"
STYLE = (4, 5, 3, 1, 2, 6)  # places in the drawings' styles of the models of a group, in their order
HARDLY = 2  # of chance
HARDLY_LEARNED = "accuracy on validation images is at most twice that of guessing"


def sources(
    plan: "Plan",
    section: "Section",
    probe: str,
    models: "Sequence[Model] | None" = None,
    experiment: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a table is made from: of every model, or of some, the metrics and outcomes of each seed.

    Args:
        plan: of the study.
        section: of the paper.
        probe: key of `probes`.
        models: None: all of the section.
        experiment: key of the one that trains them; None: that of the section.
    """
    found, study, experiment = Sources(plan), plan.study, experiment or section.experiment
    entries = [
        {
            "label": model.label,
            "group": model.group,
            "printed": model.printed,
            "outcomes": found.outcomes(experiment, probe, model.classifier, model.pretraining),
        }
        for model in (section.models if models is None else models)
    ]
    trained = study.experiments[experiment]
    image_set = study.probes[probe].sets.get("set", trained.set)
    params: dict[str, Any] = {"study": study.study, "seed": study.seed, "models": entries}
    flags = [flag for flag in stand_ins(study, trained) if flag not in (CATEGORIES_STAND_IN, OTHER_PICTURES)]
    # The paper's scale on pictures from disk: ImageNet and what the paper tests on.
    params["papers"] = study.study == "paper" and all(
        study.family_of(name) is None for name in (trained.set, image_set)
    )
    params["flags"] = flags if params["papers"] else [NOT_THE_PAPERS, *flags]
    params["data"] = data_conditions(plan, image_set)
    return params, found.inputs, {}


@dataclass(frozen=True)
class Probed:
    """One model, and what a probe measured of its networks.

    Attributes:
        label: its name.
        group: of models that are compared with each other.
        printed: the paper's network beside it, or None.
        metrics: of each seed.
        paths: of metrics and of outcomes, for each seed.
    """

    label: str
    group: str
    printed: str | None
    metrics: list[dict[str, Any]]
    paths: tuple[list[Path], list[Path]]

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / len(self.metrics[0]["classifier"]["classes"])

    def peers(self, models: "Sequence[Self]") -> "list[Self]":
        """The models of its group; the first is the one that the others are compared with."""
        return [one for one in models if one.group == self.group]

    def layers(self) -> list[str]:
        """The layers in the order in which they run: that of the outcomes. Metrics have them by name."""
        import pandas as pd  # planning imports this module and needs none of it

        return list(pd.read_parquet(self.paths[1][0], columns=["layer"])["layer"].drop_duplicates())

    def metrics_source(self, *keys: str) -> list[dict[str, str]]:
        """Where a number of the metrics stands, and what is known of the classifiers."""
        return [source(path, place) for path in self.paths[0] for place in ("/classifier", pointer(*keys))]

    def facts(self) -> dict[str, Any]:
        """What every cell tells of the models behind it."""
        classifiers = [found["classifier"] for found in self.metrics]
        accuracy = float(np.mean([one["validation"]["accuracy"] for one in classifiers]))
        flags = [] if accuracy > HARDLY * self.chance else [f"{HARDLY_LEARNED}: {percent(accuracy)} %"]
        return {
            "validation_accuracy": accuracy,
            "chance": self.chance,
            "printed": None,
            "flags": flags + run_flags(classifiers),
            "conditions": [conditions(one) for one in classifiers],
        }


@dataclass(frozen=True)
class Compared(Probed):
    """One model, and which answers of its networks are right.

    Attributes:
        shares: of each seed, how often (kinds, images) are right; severities are averaged.
        names: of the images: class, instance and view.
        kind: what the outcomes call a kind, `distortion` or `corruption`.
    """

    shares: list["pd.DataFrame"]
    names: list[str]
    kind: str

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
        """What every cell tells of the models behind it; their accuracy is that on the test images."""
        learned = interval(self.clean())["low"] > self.chance
        flags = [] if learned else ["clean accuracy is not beyond chance: the training did not work"]
        classifiers = [found["classifier"] for found in self.metrics]
        return {
            "clean_accuracy": float(np.mean([right.mean() for right in self.clean()])),
            "chance": self.chance,
            "printed": None,
            "flags": flags + run_flags(classifiers),
            "conditions": [conditions(one) for one in classifiers],
        }


def printed_beside(job: "Context", model: Probed, row: str, value: float | None) -> dict[str, Any] | None:
    """The printed number of a cell, None where there is none.

    It is comparable at the paper's scale on its images, where the model is the paper's network.
    """
    comparable = job.params["papers"] and model.label == model.printed
    return None if value is None else {"row": row, "value": value, "comparable": comparable}


def read_metrics(job: "Context", entries: str = "models") -> list[Probed]:
    """The models of a table of metrics; `entries` is the parameter that lists them."""
    models = []
    for entry in job.params[entries]:
        metrics, outcomes = ([job.named(kind, name) for name in entry["outcomes"]] for kind in OUTCOMES)
        found = [json.loads(path.read_text()) for path in metrics]
        models.append(Probed(entry["label"], entry["group"], entry["printed"], found, (metrics, outcomes)))
    return models


def read(job: "Context", entries: str = "models") -> list[Compared]:
    """The models of a table of right answers; `entries` as in `read_metrics`."""
    import pandas as pd  # planning imports this module and needs none of it

    models = []
    for model in read_metrics(job, entries):
        frames = [pd.read_parquet(path) for path in model.paths[1]]
        kind = "distortion" if "distortion" in frames[0] else "corruption"
        shares = [
            frame.pivot_table(index=kind, columns="image", values="correct", aggfunc="mean").astype(float)
            for frame in frames
        ]
        facts = frames[0].drop_duplicates("image").sort_values("image")
        known = [facts[name].astype(str) for name in ("class_name", "instance", "view") if name in facts]
        names = ["/".join(parts) for parts in zip(*known, strict=True)]
        models.append(Compared(**vars(model), shares=shares, names=names, kind=kind))
    return models


def beside_peers(models: Sequence[Compared]) -> Iterator[tuple[Compared, list[Compared], np.ndarray]]:
    """Each model, its group, and (images,) bool: those that all of the group, of every seed, get right as they are."""
    for model in models:
        peers = model.peers(models)
        yield model, peers, np.all([right for one in peers for right in one.clean()], axis=0)


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


def seeds_cell(
    job: "Context", model: Probed, baseline: Probed, number: Callable[..., float | None], *keys: str
) -> dict[str, Any]:
    """A cell's facts, all but its place, formula and sources: a number of each network's metrics, over seeds.

    Args:
        job: of the table.
        model: whose cell it is.
        baseline: the model that it is compared with; itself: with none.
        number: metrics of a seed and `keys` -> the number; None where there is none.
        keys: such as that of a layer.
    """
    facts = {**model.facts(), "n": len(model.metrics), "data": job.params["data"]}
    facts["flags"] = [*job.params["flags"], *facts["flags"]]
    ours, theirs = ([number(found, *keys) for found in one.metrics] for one in (model, baseline))
    known = [(mine, its) for mine, its in zip(ours, theirs, strict=True) if mine is not None and its is not None]
    if len(known) < len(ours):
        return {**facts, "text": "–", "value": None, "flags": [*facts["flags"], "some network has no such number"]}
    values, others = ([pair[place] for pair in known] for place in (0, 1))
    value = float(np.mean(values))
    facts |= {"text": f"{value:.3g}", "value": value, "by_seed": values}
    if found := over_seeds(values):
        facts["interval"] = found
    if model is not baseline:
        facts["difference"] = {"to": baseline.label, **seed_difference(values, others)}
    return facts


def bars(label: str, place: int, cells: Sequence[Mapping[str, Any]], scale: float = 1) -> "Bars":
    """The bars of one model from its cells; see `bars_of`."""
    from robust3d.figures.groups import bars_of

    return bars_of(label, STYLE[place % len(STYLE)], cells, scale)
