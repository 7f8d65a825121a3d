"""What tables 5 and 7 share: the trainings' classifiers, their outcomes under attack, and facts of their cells."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robust3d.named import Sources
from robust3d.tables.statistics import SHARE, over_seeds

if TYPE_CHECKING:
    import pandas as pd

    from robust3d.papers.winn3d.section import Section
    from robust3d.provenance.runner import Context
    from robust3d.study.plan import Plan

Bits = NDArray[np.bool_]

STAND_IN = "procedural categories stand in for ModelNet10"


def sources(plan: "Plan", section: "Section") -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inputs: of each training and seed the classifier's facts, and its outcomes under attack."""
    from robust3d.study.voxel_jobs import attack_voxels, train_voxels  # for planning; writing needs none of it

    study, found = plan.study, Sources(plan)
    params = {key: section.training(study, key) for key in section.trainings}
    models: list[dict[str, Any]] = [
        {"key": key, "label": training.label, "printed": training.printed, "seeds": []}
        for key, training in section.trainings.items()
    ]
    for seed in study.training_seeds:
        jobs = {key: train_voxels(plan, section.voxels, key, params[key], seed) for key in params}
        for model in models:
            key = model["key"]
            others = [other for other in jobs if other != key] if key == section.baseline else [section.baseline]
            judges = {other: jobs[other] for other in others}
            attacked = attack_voxels(plan, section.voxels, jobs[key], judges, section.attack_on(key))
            name = found.add(jobs[key], "info")
            model["seeds"].append({"info": name, "outcomes": found.add(attacked, "metrics", "outcomes")})
    kind = study.voxels[section.voxels].kind
    job_params = {
        "study": study.study,
        "seed": study.seed,
        "models": models,
        "baseline": section.baseline,
        "introspective": section.introspective,
        "epsilon": section.attack.epsilon,
        "main": [section.reading, section.clip],
        "kind": kind,
    }
    return job_params, found.inputs, {}


@dataclass(frozen=True)
class Model:
    """One training's classifiers, by seed.

    Attributes:
        key: of the section's `trainings`.
        label: of its rows.
        printed: the paper's name for it, if the paper has it.
        infos: facts of each classifier.
        metrics: of each attack.
        outcomes: of each attack.
        paths: of the outcomes; `info_paths` of the facts.
    """

    key: str
    label: str
    printed: str | None
    infos: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    outcomes: list["pd.DataFrame"]
    paths: list[Path]
    info_paths: list[Path]

    def wrong(self, where: dict[str, Any], by: str | None = None) -> list[Bits]:
        """For each seed (volumes,) bool: whose adversarial volumes of an attack get a wrong answer.

        Args:
            where: values of columns that name the attack.
            by: key of another training whose answers count; None: its own.
        """
        found = []
        for frame in self.outcomes:
            rows = frame
            for column, value in where.items():
                rows = rows[rows[column] == value]
            rows = rows.sort_values("image")
            if by is None and where["attack"] == "AutoAttack":
                found.append(~rows["robust"].to_numpy(bool))
            else:
                answers = rows["prediction" if by is None else f"by {by}"]
                found.append((answers != rows["label"]).to_numpy(bool))
        return found


def read(job: "Context") -> dict[str, Model]:
    """The models of a job, by key."""
    import pandas as pd  # not at the top: planning imports this module

    models = {}
    for entry in job.params["models"]:
        names = [seed["outcomes"] for seed in entry["seeds"]]
        paths = [job.named("outcomes", name) for name in names]
        info_paths = [job.named("info", seed["info"]) for seed in entry["seeds"]]
        models[entry["key"]] = Model(
            entry["key"],
            entry["label"],
            entry["printed"],
            [json.loads(path.read_text()) for path in info_paths],
            [json.loads(job.named("metrics", name).read_text()) for name in names],
            [pd.read_parquet(path) for path in paths],
            paths,
            info_paths,
        )
    return models


def common(job: "Context", model: Model) -> dict[str, Any]:
    """Facts that every cell of a model has: flags, and choices that the paper leaves open."""
    flags = [STAND_IN] if job.params["kind"] == "categories" else []
    flags += [notice for info in model.infos for notice in info["notices"]]
    flags += [f"collapsed: {info['collapse']}" for info in model.infos if info["collapse"]]
    conditions = [
        {name: info[name] for name in ("resolution", "steps", "passes", "most_passes", "synthesis", "training")}
        for info in model.infos
    ]
    return {"unit": "%", "flags": list(dict.fromkeys(flags)), "conditions": conditions}


def comparable(job: "Context") -> bool:
    """Whether a printed number may be compared with ours: the paper's scale on ModelNet."""
    return bool(job.params["study"] == "paper" and job.params["kind"] == "modelnet")


def seeds_interval(values: list[float]) -> dict[str, Any] | None:
    """95 % interval of a mean rate over seeds, from three on; None with fewer, without a value, or if all are equal."""
    return over_seeds(values, SHARE) if np.isfinite(values).all() else None
